"""What some backends can do to a cluster and others cannot.

A ``World`` has None where its backend lacks an ability, and the backend refuses the scenarios that
need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from crunchbed.run.values import Command


@runtime_checkable
class KillsAgent(Protocol):
    """A node whose agent can be killed while the node goes on."""

    def kill_agent(self) -> bool:
        """Kill the agent; returns whether there was one."""

    def restart_agent(self) -> None:
        """Start another agent, unless there is one; returns when it answers."""


class MovesDisk(Protocol):
    """Ends and starts the block target of the storage host."""

    def kill_target(self) -> None:
        """Kill the target; its end is no failure of the testbed."""

    def start_target(self, write_delay_ns: int = 0) -> None:
        """Start the target on the same data; returns when it takes connections."""

    def pause_target(self) -> None:
        """Have the target stand still; its connections stay."""

    def resume_target(self) -> None:
        """Let the target go on, if it was paused and is still there."""


class SwitchPower(Protocol):
    """The power of a network's switches."""

    def is_on(self, switch: str) -> bool:
        """Return whether a switch has power."""

    def turn_off(self, switch: str) -> None:
        """Take the power of a switch away, and the carrier of every link to it."""

    def turn_on(self, switch: str) -> None:
        """Give a switch its power back; it knows nothing of what it had learnt."""

    def links_to(self, switch: str) -> Mapping[str, Sequence[str]]:
        """Return the networks by which each host is linked to a switch."""

    def cut_off_by(self, switch: str) -> Sequence[str]:
        """Return the hosts that have no ring of heartbeats left without a switch."""


class KillsController(Protocol):
    """The OpenFlow controller of the switches."""

    def kill(self) -> bool:
        """Kill the controller; returns whether there was one."""

    def restart(self) -> None:
        """Start another controller, unless there is one."""

    def is_ready(self) -> bool:
        """Return whether every switch holds every flow.

        Raises:
            CrunchbedError: the controller has ended though nobody ended it.
        """


class TakesCommands(Protocol):
    """Hears other terminals while the cluster is held open."""

    @property
    def crunch_kinds(self) -> Sequence[str]:
        """The kinds of crunch that a node can have meanwhile."""

    def serve(self, handle: Callable[[Command], Command]) -> None:
        """Answer commands until the cluster ends, whenever the loop runs."""

    def storage_place(self) -> Mapping[str, Any]:
        """Return what a shell needs to enter the storage host: ``pid`` and ``cgroup``."""
