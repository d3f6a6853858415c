"""The links of a cluster that is held open, each taken down and brought up by hand.

A link that is down is the fault ``link-down`` to the history, and so to every check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crunchbed.run.faults.injector import FaultInjection, injection
from crunchbed.run.faults.protocol import World
from crunchbed.run.recorder import Recorder
from crunchbed.scenario.faults import LinkDown
from reserve_agent.errors import BadInput

_LENGTH: Final = "3600s"  # it is undone when somebody says so


class Links:
    """Takes links down and brings them up.

    Args:
        world: what faults act on.
        recorder: the run's part of the history.
        touch: called before anything is done to the cluster.
    """

    def __init__(self, world: World, recorder: Recorder, touch: Callable[[], None]) -> None:
        self._world = world
        self._recorder = recorder
        self._touch = touch
        self._down: dict[str, FaultInjection] = {}
        self._settling: dict[str, FaultInjection] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """Who has a link: the nodes and the storage host."""
        return tuple(self._world.ports)

    def take_down(self, target: str) -> None:
        """Set the switch port of ``target`` down.

        Raises:
            BadInput: it is down already, or has not settled since it was set up.
        """
        if target in self._down:
            raise BadInput(f"the link of {target} is down already")
        if target in self._settling:
            raise BadInput(f"the link of {target} is still coming up; once more in a moment")
        self._touch()
        fault = LinkDown.model_validate(
            {"kind": "link-down", "target": target, "after": "0s", "for": _LENGTH}
        )
        cut = injection([fault], self._world, self._recorder).__enter__()
        cut.over()
        self._down[target] = cut

    def bring_up(self, target: str) -> None:
        """Set it up again; ``state`` says when packets pass.

        Raises:
            BadInput: it is not down.
        """
        if target not in self._down:
            raise BadInput(f"the link of {target} is not down")
        cut = self._down[target]
        cut.__exit__(None, None, None)
        self._settling[target] = self._down.pop(target)

    def state(self, target: str) -> str:
        """``up``, ``down`` or ``coming up``."""
        if target in self._down:
            return "down"
        return "coming up" if target in self._settling else "up"

    def settled(self) -> bool:
        """Whether all that are up pass packets; to be asked again and again, for it records."""
        for target, cut in list(self._settling.items()):
            if cut.settled():
                del self._settling[target]
        return not self._settling

    def end(self) -> None:
        """Bring all up."""
        for target in list(self._down):
            self.bring_up(target)

    def cut_off_since(self, target: str, by: str) -> int | None:
        """When a link that is down now began to keep ``target`` from ``by``; None: none does."""
        times = [cut.cut_off_since(target, by) for cut in self._down.values()]
        return min((since for since in times if since is not None), default=None)
