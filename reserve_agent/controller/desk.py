"""Where pressure messages arrive: the good go to the switches, the others are counted."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from reserve_agent.controller.board import Change, PressureBoard
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.pressure import MESSAGE_BYTES, Refused
from reserve_agent.controller.refusals import Refusals
from reserve_agent.errors import CrunchbedError


class Apply(Protocol):
    """Has the switches shed for a node, or no longer."""

    def __call__(self, node: str, *, on: bool, done: Callable[[int], None]) -> bool:
        """Return whether there is anything to do; then ``done`` gets the time when it is in force.

        That is CLOCK_MONOTONIC in nanoseconds, and may be told by another thread.
        """


class PressureDesk:
    """Takes datagrams, has changes applied, and writes down when they were in force.

    All methods belong to one thread.

    Args:
        board: Knows who is under pressure.
        apply: See ``Apply``.
        record: Writes an event, its kind and its fields, into the history; for any thread.
        clock: CLOCK_MONOTONIC, nanoseconds.

    Attributes:
        refused: Messages that nobody may send, by reason.
        malformed: Datagrams that are no message, by reason.
    """

    def __init__(
        self,
        board: PressureBoard,
        apply: Apply,
        record: Callable[..., None],
        clock: Callable[[], int],
    ) -> None:
        self._board = board
        self._apply = apply
        self._record = record
        self._clock = clock
        self._refusals = Refusals("pressure.refused", record)
        self.refused: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()

    def hear(self, datagrams: list[bytes]) -> None:
        """Take what has arrived together; of several changes of a node the last one counts."""
        now = self._clock()
        changes: dict[str, Change] = {}
        for datagram in datagrams:
            try:
                change = self._board.receive(datagram, now)
            except Refused as refused:
                (self.malformed if refused.malformed else self.refused)[refused.reason] += 1
                self._refusals.count(refused.reason)
            else:
                if change is not None:
                    changes[change.node] = change
        self._carry_out(changes.values())
        self._refusals.report(now)

    def tick(self) -> None:
        """To be called several times a second: agents that fell silent, refusals not told yet."""
        now = self._clock()
        self._carry_out(self._board.lapsed(now))
        self._refusals.report(now)

    def status(self) -> dict[str, Any]:
        """What the controller says of it: messages refused, datagrams that were none, nodes."""
        return {
            "pressure": {
                "refused": sum(self.refused.values()),
                "malformed": sum(self.malformed.values()),
                "nodes": sorted(self._board.pressed),
            }
        }

    def close(self) -> None:
        """Write down what was refused since the last report."""
        self._refusals.close()

    def _carry_out(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._apply(change.node, on=change.on, done=partial(self._in_force, change))

    def _in_force(self, change: Change, at: int) -> None:
        self._record(
            "shed.applied",
            target=change.node,
            on=change.on,
            episode=change.episode,
            pressure_at=change.pressure_at,
            received_at=change.received_at,
            in_force_at=at,
        )


class PressureSocket:
    """The desk's UDP socket, served by the owner's selector as long as its process lives.

    Args:
        address: IPv4 address, the loopback's, and port.
        selector: Gets the callback as the key's ``data``.
        hear: Is told of all datagrams that have arrived.
    """

    def __init__(
        self,
        address: tuple[str, int],
        selector: selectors.BaseSelector,
        hear: Callable[[list[bytes]], None],
    ) -> None:
        self._hear = hear
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        selector.register(self._socket, selectors.EVENT_READ, self._read)

    def _read(self) -> None:
        datagrams: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            # Bounded: a flood of datagrams must not keep the owner from everything else.
            while len(datagrams) < 256:
                datagrams.append(self._socket.recv(MESSAGE_BYTES + 1))
        self._hear(datagrams)


def open_desk(
    config: ControllerConfig,
    selector: selectors.BaseSelector,
    apply: Apply,
    record: Callable[..., None],
) -> PressureDesk:
    """The desk of a run's controller, with its socket.

    Raises:
        CrunchbedError: its port is taken.
    """
    nodes = {port.node for port in config.network.hosts}
    board = PressureBoard(bytes.fromhex(config.token), nodes)
    desk = PressureDesk(board, apply, record, time.monotonic_ns)
    try:
        PressureSocket(config.pressure, selector, desk.hear)
    except OSError as error:
        address, port = config.pressure
        reason = f"cannot listen on UDP {address}:{port}: {error.strerror}"
        raise CrunchbedError(reason) from error
    return desk
