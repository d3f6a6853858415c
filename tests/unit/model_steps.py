"""Random steps through the reference model, and what came of them as one digest."""

from __future__ import annotations

import hashlib
from random import Random

from reserve_agent.contract.packets import Limits, PacketClass, Policy, PortRule
from reserve_agent.model.mark import Mark
from reserve_agent.model.node import NodeModel
from reserve_agent.model.pool import Window
from reserve_agent.model.sockets import Socket
from tests.system import frames

BLOCK, BEAT, OTHER = 10809, 7405, 9000
RULES = (
    PortRule(BLOCK, frames.TCP, PacketClass.BLOCK_IO),
    PortRule(BEAT, frames.UDP, PacketClass.HEARTBEAT),
)
POOL = (
    *("total", "reserve", "free", "clean", "dirty", "demand", "squeezed", "rx_stalled", "tx"),
    *("hoarded", "wakes", "low_water", "now", "generation", "window", "in_window"),
    *("pressure", "pressure_ns", "pressure_longest_ns", "pressure_episodes"),
)


def datagram(port: int, size: int) -> bytes:
    """A UDP frame to a port."""
    return frames.frame(frames.IP, frames.ipv4(frames.UDP, frames.udp(port, port, bytes(size))))


def segment(
    ports: tuple[int, int], sequence: int, acknowledged: int | None, size: int = 0
) -> bytes:
    """A TCP frame."""
    tcp = frames.tcp(*ports, sequence, acknowledged, bytes(size))
    return frames.frame(frames.IP, frames.ipv4(frames.TCP, tcp))


class Steps:
    """One model and the choices that lead it."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311
        limits = Limits(softnet_limit=2, softnet_cost_ns=32, mempool_pages=2)
        self.model = NodeModel(rules=RULES, limits=limits, policy=policy)
        self.model.pool.service_shift = 6
        self.model.pool.ns_per_page = 1
        self.windows: list[Window] = []
        self.model.pool.windows = self.windows
        self.sockets = [Socket(True, True), Socket(memalloc=True), Socket(), Socket()]
        self.marks: list[tuple[bytes, Mark]] = []
        self.now = 10_000
        self.model.pool.resize(120, 41)
        self.model.reset(30)
        self.digest = hashlib.sha256()

    def frame(self) -> bytes:
        """Of all kinds."""
        random = self.random
        size = random.choice((0, 100, 1448, 3400, 3500))
        port = random.choice((BLOCK, BEAT, OTHER))
        return random.choice(
            (
                datagram(port, size),
                segment((port, OTHER), random.randrange(20_000), random.randrange(20_000), size),
                frames.frame(frames.ARP, bytes(28)),
                frames.frame(frames.IP, frames.ipv4(89, bytes(size))),
                frames.frame(frames.IP, frames.ipv4(frames.UDP, bytes(size), 0x2064)),
                frames.frame(0x88CC, bytes(size), (5,)),
            )
        )

    def socket(self) -> Socket | None:
        """One of four, or none."""
        return self.random.choice((*self.sockets, None))

    def packet(self) -> object:
        """A packet comes, goes on to a socket, or leaves."""
        model, random = self.model, self.random
        step = random.randrange(3)
        if step == 0:
            frame = self.frame()
            mark = model.receive(frame, self.now)
            if mark is not None:
                self.marks.append((frame, mark))
            # The first four fields, whatever else a mark has by now.
            return mark and (mark.cls, mark.from_reserve, mark.pages, mark.slot)
        if step == 1 and self.marks:
            frame, mark = self.marks.pop(-1 - random.randrange(min(4, len(self.marks))))
            return model.deliver(frame, mark, self.socket(), self.now)
        queued = random.choice((0, 0, 1, 16_412))
        return model.transmit(self.frame(), self.socket(), self.now, queued)

    def rare(self) -> None:
        """Something other than a packet."""
        model, random = self.model, self.random
        model.pool.advance(self.now)
        choice = random.randrange(9)
        if choice == 0:
            model.pool.ask(random.randrange(60))
        elif choice == 1:
            model.pool.wash(random.randrange(60))
        elif choice == 2:
            model.pool.wake()
        elif choice == 3:
            model.emergency = not model.emergency
        elif choice == 4:
            model.enforce = not model.enforce
        elif choice == 5:
            model.pool.resize(random.randrange(60, 200), random.randrange(60))
        elif choice == 6:
            model.reset(random.randrange(60))
        elif choice == 7:
            model.stall(self.sockets[3], not self.sockets[3].stalled)
        else:
            start = max(self.now, self.windows[-1].end if self.windows else 0)
            level = random.randrange(model.pool.reserve + 1)
            self.windows.append(Window(start + 50, start + 50 + random.randrange(1, 800), level))

    def run(self, steps: int) -> str:
        """The digest after so many steps."""
        for _ in range(steps):
            self.now += self.random.choice((0, 0, 1, 30, 64, 200, 900))
            verdict = self.rare() if self.random.randrange(12) == 0 else self.packet()
            pool = [int(getattr(self.model.pool, name)) for name in POOL]
            self.digest.update(repr((verdict, pool, self.model.pool.running.slots)).encode())
        self.digest.update(repr(sorted(self.model.packets.items())).encode())
        self.digest.update(repr(sorted(self.model.pages.items())).encode())
        return self.digest.hexdigest()[:16]
