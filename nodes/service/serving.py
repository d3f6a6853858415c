"""What a node does while it serves: its target is started, watched, started again and ended.

No clock and no process: the time is passed in, and the node's target and address are behind a small
protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.writes import ServiceStarted, ServiceStopped
from reserve_agent.errors import CrunchbedError

START_NS: Final = 5_000_000_000
"""How long a target may take until it takes logins."""
ANNOUNCE_AGAIN_NS: Final = 200_000_000
"""The address is announced a second time after this: the first announcement may be lost."""
MOST_FAILED_STARTS: Final = 3


class ServedTarget(Protocol):
    """A target that was started: a process (``nodes.block.target.StartedTarget``), or a model."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def log(self) -> Path | str:
        """Where its own words are."""

    def ended(self) -> str | None:
        """How it ended by itself, in words; None while it runs."""

    def takes_logins(self) -> bool:
        """Whether initiators can log in."""

    def end(self) -> None:
        """End it."""


class Host(Protocol):
    """The node that serves."""

    def start_target(self) -> ServedTarget:
        """Start the target at the address; raises CrunchbedError where it cannot be."""

    def add_address(self) -> None:
        """Take the address that moves."""

    def remove_address(self) -> None:
        """Give the address up."""

    def announce(self) -> None:
        """Tell hosts and switches where the address is now."""


class Serving:
    """One node's service; a target that ends by itself is started again.

    ``address`` moves with the service; ``emit`` is told of each start and stop.
    """

    def __init__(
        self, node: str, transport: str, address: str, host: Host, emit: Callable[[Event], None]
    ) -> None:
        self._node = node
        self._transport = transport
        self._address = address
        self._host = host
        self._emit = emit
        self._target: ServedTarget | None = None
        self._started_ns = 0
        self._taken_from: str | None = None
        self._failed_starts = 0
        self._announce_again_ns: int | None = None
        self.accepts = False
        """Whether initiators can log in."""

    def start(self, taken_from: str | None, now_ns: int) -> None:
        """Take the address and start the target; ``watch`` reports when it takes logins."""
        self._taken_from = taken_from
        self._failed_starts = 0
        self._host.add_address()
        self._start_target(now_ns)

    def _start_target(self, now_ns: int) -> None:
        self.accepts, self._started_ns = False, now_ns
        self._target = self._host.start_target()

    def stop(self, reason: str, now_ns: int) -> None:
        """End the target, then give the address up."""
        target, self._target = self._target, None
        if target is None:
            return
        target.end()
        self._host.remove_address()
        self._announce_again_ns = None
        if self.accepts:
            self._report_stop(reason, now_ns)
        self.accepts = False

    def watch(self, now_ns: int) -> None:
        """See whether the target has come up, or has ended; to be called often.

        Raises CrunchbedError where it cannot be started.
        """
        target = self._target
        if target is None:
            return
        if not self.accepts and target.ended() is None and target.takes_logins():
            self._came_up(now_ns)
        elif (ended := target.ended()) is not None:
            self._start_again(ended, now_ns)
        elif not self.accepts and now_ns - self._started_ns > START_NS:
            raise CrunchbedError(f"{target.name} does not listen; see {target.log}")
        elif self._announce_again_ns is not None and now_ns >= self._announce_again_ns:
            self._announce_again_ns = None
            self._host.announce()

    def _came_up(self, now_ns: int) -> None:
        self.accepts = True
        self._failed_starts = 0
        self._host.announce()
        self._announce_again_ns = now_ns + ANNOUNCE_AGAIN_NS
        self._emit(
            ServiceStarted(
                t=now_ns,
                target=self._node,
                transport=self._transport,
                address=self._address,
                taken_from=self._taken_from,
            )
        )
        self._taken_from = None

    def _start_again(self, ended: str, now_ns: int) -> None:
        if self.accepts:
            self._report_stop(ended, now_ns)
        else:
            self._failed_starts += 1
        if self._failed_starts >= MOST_FAILED_STARTS:
            raise CrunchbedError(ended)
        self._start_target(now_ns)

    def _report_stop(self, reason: str, now_ns: int) -> None:
        self._emit(ServiceStopped(t=now_ns, target=self._node, reason=reason))
