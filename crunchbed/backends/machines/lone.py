"""One guest on its own, without a cluster: its card's wire ends in this process.

It needs neither root nor a network of this machine: frames are datagrams of Unix sockets.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from crunchbed.backends.common.versions import first_line
from crunchbed.backends.machines.accelerator import choose, shared_memory
from crunchbed.backends.machines.images import QEMU, QEMU_CARDS, Image
from crunchbed.backends.machines.qemu import Accelerator, Card, Datagrams, Machine, argv
from nodes.guest import commands
from nodes.guest.layout import Counters, State
from nodes.guest.machine_link import MachineLink
from nodes.guest.messages import Done
from nodes.guest.ring import SharedMemory
from nodes.guest.scripts import Ask
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError, RunInvalid

BOOT_SECONDS: Final = 120.0
ANSWER_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.001
PORT: Final = 7405
"""UDP port of the socket that is read."""
SINK_PORT: Final = 7406
"""UDP port of the socket that is not read."""
_MEMORY_MIB: Final = 160
_ADDRESS, _PEER = "10.99.0.2", "10.99.0.1"
_MAC, _PEER_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"

_UNDER_WAY_BYTES: Final = 8192
"""What QEMU has not read yet, at most, and a card without a slot is told by: some ten frames."""
_HEADERS: Final = 14 + 20 + 8
"""Bytes of Ethernet, IPv4 and UDP."""
_NUMBER: Final = struct.Struct("<Q")


class LoneGuest:
    """A guest that is up.

    Args:
        shared: The memory that it shares.
        wire: The host's end of its card's wire.
        qemu: Where QEMU takes frames.
        process: QEMU.
        console: The file with the kernel's messages.

    Attributes:
        shared: The memory that it shares.
        arrivals: When the socket that is read had a frame, by the frame's number; the guest's
            clock.
        newest: Number of the last of them; -1: none.
    """

    def __init__(
        self, shared: SharedMemory, wire: socket.socket, qemu: Path, process: Process, console: Path
    ) -> None:
        self.shared = shared
        self.arrivals: dict[int, int] = {}
        self.newest = -1
        self._wire = wire
        self._qemu = str(qemu)
        self._process = process
        self._console = console
        self._link = MachineLink(shared)
        self._answers: dict[int, Done] = {}

    def look(self) -> None:
        """Take what has come from the guest.

        Raises:
            RunInvalid: It has ended, or lost messages.
        """
        news = self._link.poll()
        self._answers.update(news.answers)
        for received, payload in news.arrivals:
            if len(payload) == _NUMBER.size:
                self.newest = _NUMBER.unpack(payload)[0]
                self.arrivals[self.newest] = int(received.at_ns)
        if self._link.lost:
            raise RunInvalid("this machine is too slow: messages of the guest were lost")
        if self._process.poll() is not None:
            raise RunInvalid(f"the guest ended: {self._last_words()}")

    @property
    def turns(self) -> int:
        """Turns of the guest's agent, each of about a millisecond if it has a processor."""
        return int(self.shared.agent.turns)

    def pass_turns(self, count: int) -> None:
        """Take what comes in so many turns."""
        end = self.turns + count
        self.until(lambda: self.turns >= end, ANSWER_SECONDS, "turns of the guest's agent")

    def forget_arrivals(self) -> None:
        """Begin anew: numbers of frames count from 0 again."""
        self.arrivals.clear()
        self.newest = -1

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._console.read_text(errors="replace").splitlines()
            if said := next((line.strip() for line in reversed(lines) if line.strip()), ""):
                return said
        return self._process.last_words() or "no word"

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Take what comes until ``condition()`` holds; CrunchbedError where it does not."""
        wait_until(condition, seconds, what, LOOK_SECONDS, self.look)

    def ask(self, ask: Ask) -> Done:
        """Give a command and return the answer; the command's number is then in ``ask``."""
        number = self._link.command(ask.kind, ask.body)
        if number is None:
            raise RunInvalid("the guest takes no commands any more")
        ask.number = number
        what = f"the guest's answer to {ask.kind.name.lower()}"
        self.until(lambda: number in self._answers, ANSWER_SECONDS, what)
        return self._answers.pop(number)

    def counters(self) -> Counters:
        """Return counters that the module has published after this call."""
        before = self.shared.counters()
        seen = 0 if before is None else int(before.sequence)
        found: list[Counters] = []

        def newer() -> bool:
            now = self.shared.counters()
            if now is not None and now.sequence > seen + 1:  # one may have been under way
                found.append(now)
            return bool(found)

        self.until(newer, ANSWER_SECONDS, "counters of the guest")
        return found[0]

    def send(self, number: int, frame_bytes: int, port: int = PORT) -> bool:
        """Send a frame; returns whether it is under way: it is not while the card has no slot."""
        try:
            self._wire.sendto(frame(number, frame_bytes, port), self._qemu)
        except (BlockingIOError, ConnectionRefusedError):
            return False
        return True

    @property
    def release(self) -> str:
        """The kernel's, as ``uname -r`` says it."""
        return str(self.shared.agent.release.decode())


@contextmanager
def booted(image: Image, nic: str, reserve_pages: int, folder: Path) -> Iterator[LoneGuest]:
    """Boot a guest and wait for its agent; QEMU is killed at the end.

    Args:
        image: The kernel.
        nic: ``memory.nic``.
        reserve_pages: Its reserve, in pages.
        folder: An empty directory for its files.

    Raises:
        RunInvalid: It does not come up.
    """
    wire, memory = Datagrams(folder / "host", folder / "guest"), folder / "memory"
    machine = Machine(
        name="crunchbed-calibrate",
        image=image,
        accelerator=_accelerator(image, folder),
        memory_mib=_MEMORY_MIB,
        shared=memory,
        console=folder / "console",
        card=Card(nic, wire, _MAC),
        words={
            "nic": QEMU_CARDS[nic],
            "address": f"{_ADDRESS}/24",
            "port": PORT,
            "min_free_kib": reserve_pages * 4,
        },
    )
    with _wire(wire.host) as end, shared_memory(memory) as shared:
        process = _launch(argv(machine), folder)
        try:
            guest = LoneGuest(shared, end, wire.guest, process, machine.console)
            agent = shared.agent
            guest.until(lambda: agent.state != State.NONE, BOOT_SECONDS, "the guest's agent")
            if agent.state == State.FAILED:
                raise RunInvalid(f"the guest failed: {agent.failure.decode()}")
            guest.ask(commands.neighbour(_PEER, _PEER_MAC))
            yield guest
        finally:
            process.kill()


@contextmanager
def _wire(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        try:
            end.bind(str(path))
        except OSError as error:
            raise CrunchbedError(f"{path}: cannot be made: {error.strerror or error}") from None
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNDER_WAY_BYTES)
        yield end


def _accelerator(image: Image, folder: Path) -> Accelerator:
    version = first_line((QEMU, "--version"))
    return choose(image, folder, lambda command: _launch(command, folder), qemu=version)


def _launch(command: list[str], folder: Path) -> Process:
    return spawn(command, name="guest", log=folder / "qemu.log", netns_pid=None, cgroup=None)


def frame(number: int, frame_bytes: int, port: int) -> bytes:
    """Return an Ethernet frame with a UDP datagram that begins with a number.

    For the socket that is read the datagram is short, and bytes after it fill the frame: its length
    is the card's concern, and what the agent reads has room in its ring. IP cuts such bytes off,
    and some drivers' pages with them, so that for the other socket the datagram fills the frame.
    """
    payload = _NUMBER.pack(number)
    if port == SINK_PORT:
        payload = payload.ljust(frame_bytes - _HEADERS, b"\0")
    udp = struct.pack("!HHHH", PORT, port, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(_PEER) + socket.inet_aton(_ADDRESS)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    words = struct.unpack("!10H", head + addresses)
    folded = sum(words) % 0xFFFF or 0xFFFF
    head = head[:10] + struct.pack("!H", 0xFFFF - folded)
    macs = bytes.fromhex((_MAC + _PEER_MAC).replace(":", ""))
    return (macs + b"\x08\x00" + head + addresses + udp).ljust(frame_bytes, b"\0")
