"""Block I/O of a simulated cluster: the device, its target, and the initiator's connection.

Messages have the sizes of NBD's (the protocol's ``doc/proto.md``): a write is a header of 28 bytes
and its data, its answer 16 bytes. What a block holds is the stamp of its write
(``nodes/block/pattern.py``), without the filler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from crunchbed.backends.simulation.host import Host
from crunchbed.backends.simulation.loop import SimulatedLoop
from crunchbed.backends.simulation.tcp import TcpSocket
from crunchbed.run.world import ReadBack
from nodes.block.pattern import BLOCK_BYTES, Stamp
from nodes.block.timeouts import Requests
from nodes.block.transport import Reports
from reserve_agent.errors import CrunchbedError

REQUEST_BYTES: Final = 28
REPLY_BYTES: Final = 16
HELLO_BYTES: Final = 152
"""About what each side says until the first write: newstyle negotiation with NBD_OPT_GO."""
SERVICE_NS: Final = 100_000
"""Time of a write to a file in the page cache by nbdkit, one after the other on a connection."""
MACHINE_NS: Final = 4_000_000
"""By how much a write takes longer where nodes have a kernel's profile: as long as one on machines,
which are emulated (docs/fidelity.md). It decides what TCP takes for the way there and back."""
CONNECT_NS: Final = 1_000_000_000
"""An attempt to connect lasts at most this (``nodes/block/nbd_transport.py``)."""


@dataclass(frozen=True)
class Write:
    """A write on its way to the target."""

    sequence: int
    stamp: Stamp
    blocks: int


class Device:
    """The blocks behind every target of a run: they outlive the targets."""

    def __init__(self) -> None:
        self._blocks: dict[int, Stamp] = {}

    def write(self, write: Write) -> None:
        """Carry a write out."""
        first = write.stamp.block
        for block in range(first, first + write.blocks):
            self._blocks[block] = write.stamp._replace(block=block)

    def read_back(self, expected: Mapping[int, Stamp], names: tuple[str, ...]) -> ReadBack:
        """Compare what was acknowledged last of each block with what the block holds."""
        lost = dict.fromkeys(names, 0)
        for block, stamp in expected.items():
            found = self._blocks.get(block)
            if found is None or found.age < stamp.age:
                lost[names[stamp.node]] += 1
        bad = sum(lost.values())
        return ReadBack(len(expected), len(expected) - bad, bad, 0, lost)


class Target:
    """A target of NBD on a host: takes connections until it is killed.

    Args:
        host: Where it runs.
        port: Its TCP port.
        device: What it serves.
        delay_ns: By how much every write takes longer; delays overlap.
    """

    def __init__(self, host: Host, port: int, device: Device, delay_ns: int = 0) -> None:
        self._host = host
        self._port = port
        self._device = device
        self._delay_ns = delay_ns
        self._sockets: list[TcpSocket] = []
        self._waiting: list[Callable[[], None]] = []
        self._busy_until: dict[TcpSocket, int] = {}
        self._paused = False
        self._alive = True
        host.listen(port, self._accept)

    def _accept(self, socket: TcpSocket) -> None:
        self._sockets.append(socket)
        socket.received = partial(self._received, socket)
        socket.lost = lambda _reason: self._forget(socket)
        self._do(lambda: socket.write(HELLO_BYTES, None))

    def _forget(self, socket: TcpSocket) -> None:
        self._sockets.remove(socket)
        self._busy_until.pop(socket, None)

    def _do(self, call: Callable[[], None]) -> None:
        """Do something, or once it goes on where it is stopped."""
        if self._paused:
            self._waiting.append(call)
        elif self._alive:
            call()

    def _received(self, socket: TcpSocket, message: object) -> None:
        self._do(partial(self._serve, socket, message))

    def _serve(self, socket: TcpSocket, message: object) -> None:
        if not isinstance(message, Write):
            socket.write(HELLO_BYTES, None)
            return
        loop = self._host.loop
        done = max(loop.now_ns(), self._busy_until.get(socket, 0)) + SERVICE_NS
        self._busy_until[socket] = done
        loop.at(done + self._delay_ns, partial(self._do, partial(self._written, socket, message)))

    def _written(self, socket: TcpSocket, write: Write) -> None:
        self._device.write(write)
        socket.write(REPLY_BYTES, write.sequence)

    def pause(self) -> None:
        """Stand still; connections stay."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self._do(call)

    def kill(self) -> None:
        """End at once; the host's kernel hangs up."""
        self._alive = False
        self._host.listen(self._port, None)
        for socket in list(self._sockets):
            socket.close()
        self._sockets.clear()


class SimulatedTransport:
    """One NBD connection of an initiator; what ``Reconnecting`` makes anew when it is lost.

    Args:
        host: The initiator's.
        address: The target's, and
        port: its port.
        timeout_ns: How long a request may go without its answer; 0: for ever.
        reports: Told of writes.
        wake: Called when there is something to serve.
    """

    def __init__(
        self,
        host: Host,
        address: str,
        port: int,
        timeout_ns: int,
        reports: Reports,
        wake: Callable[[], None],
    ) -> None:
        self.ready = False
        self._loop: SimulatedLoop = host.loop
        self._reports = reports
        self._requests = Requests(timeout_ns)
        self._wake = wake
        self._answers: list[int] = []
        self._greetings = 0
        self._lost: str | None = None
        self._began_ns = self._loop.now_ns()
        self._socket = host.connect(address, port, "storage")
        self._socket.received = self._received
        self._socket.lost = self._note_loss
        self._socket.connect()

    def _received(self, message: object) -> None:
        if isinstance(message, int):
            self._answers.append(message)
        else:
            self._greetings += 1
            if self._greetings == 1:
                self._socket.write(HELLO_BYTES, None)
                return
            self.ready = True
        self._wake()

    def _note_loss(self, reason: str) -> None:
        self._lost = reason
        self._wake()

    def write(self, sequence: int, data: Write, offset: int) -> None:  # noqa: ARG002 - a protocol
        """Submit a write; ``serve`` reports it."""
        self._socket.write(REQUEST_BYTES + data.blocks * BLOCK_BYTES, data)
        self._requests.sent(sequence, self._loop.now_ns())

    def serve(self, timeout: float) -> None:  # noqa: ARG002 - nobody waits here
        """Report what was answered.

        Raises:
            CrunchbedError: The connection is lost, or could not be made.
        """
        answers, self._answers = self._answers, []
        for sequence in answers:
            self._requests.answered(sequence)
            self._reports.acknowledged(sequence)
        now = self._loop.now_ns()
        if self._lost is not None:
            raise CrunchbedError(f"NBD connection lost: {self._lost}")
        if not self.ready and now - self._began_ns >= CONNECT_NS:
            raise CrunchbedError("NBD target: no answer")
        if self._requests.overdue(now):
            raise CrunchbedError("NBD connection lost: a request was not answered in time")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
