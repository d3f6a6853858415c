"""The two nodes of the differential test: the reference that counts, the hooks that are driven."""

from __future__ import annotations

import ctypes
import os
from itertools import groupby
from typing import Any

from reserve_agent.contract.packets import Hook, Limits, PacketClass, Policy, PortRule, Reason
from reserve_agent.hooks import layout, libbpf
from reserve_agent.hooks.layout import Op, Protocols
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.hooks.profile import (
    KIND_MASK,
    KIND_RESERVE,
    MAX_RING,
    ORIGINS,
    RUN_SHIFT,
    constants_of,
)
from reserve_agent.model.buffers import Origin
from reserve_agent.model.card_buffers import CardBuffers
from reserve_agent.model.node import Mark, NodeModel
from reserve_agent.model.packet import Packet
from reserve_agent.model.pieces import Piece, Pieces
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from tests.system import frames

SHORTEST = 60  # of a frame on a wire; the kernel runs no headless ones
SHIFT = 6
BLOCK, BEAT, OTHER = 10809, 7405, 9000
RULES = (
    PortRule(BLOCK, frames.TCP, PacketClass.BLOCK_IO),
    PortRule(BEAT, frames.UDP, PacketClass.HEARTBEAT),
    PortRule(BEAT, frames.SCTP, PacketClass.HEARTBEAT),
)
LIMITS = Limits(softnet_limit=2, softnet_cost_ns=32, mempool_pages=2)
SOCKETS = 4
SAME_NAME = (
    *("hoarded", "wakes", "stock", "sunk", "wanted", "swap_level"),
    *("total", "reserve", "free", "clean", "dirty", "demand", "squeezed", "rx_stalled", "tx"),
    *("low_water", "now", "generation", "pressure", "pressure_ns", "pressure_longest_ns"),
    *("pressure_episodes", "window", "in_window"),
)


NO_SOCKET = layout.TEST_SOCKETS  # an index that the map does not have


class CountingModel(NodeModel):
    """The reference, with its counters also kept in the hooks' own layout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.table = layout.Counters()
        self.heard = Protocols()
        self.journalled = 0
        self.pool.on_episode = self._episode

    def receive(self, frame: bytes | Packet, now: int) -> Mark | None:
        packet = self._read(frame)
        if packet.type == frames.IP:
            self.heard.ipv4[packet.protocol] += 1
        elif packet.type == frames.IPV6:
            self.heard.ipv6[packet.protocol] += 1
        else:
            slots = self.heard.others
            slot = next(one for one in slots if not one.packets or one.type == packet.type)
            slot.type = packet.type
            slot.packets += 1
        return super().receive(frame, now)

    def _episode(self, _what: str, _t: int, _value: int) -> None:
        self.journalled += 1

    def _count(
        self, hook: Hook, packet: Packet, reason: Reason, pages: int, cls: PacketClass | None = None
    ) -> None:
        super()._count(hook, packet, reason, pages, cls)
        cls = packet.cls if cls is None else cls
        row = self.table.by[hook << 6 | cls << 4 | reason]
        row.packets += 1
        row.pages += pages
        if not reason.passed and cls is not PacketClass.OTHER:
            self.journalled += 1


def write_map(fd: int, key: int, value: ctypes.Structure | ctypes.Array[Any]) -> None:
    """Write one value of a map."""
    key_, flags = ctypes.c_uint32(key), ctypes.c_uint64(0)
    library = ctypes.CDLL("libbpf.so.1")
    assert not library.bpf_map_update_elem(fd, ctypes.byref(key_), ctypes.byref(value), flags)


class Hooks:
    """The hooks, emptied between examples rather than loaded anew."""

    def __init__(self, kernel: Kernel, card: Card | None) -> None:
        fixed = constants_of(kernel, card)
        fixed.testing = 1
        self.node = NodeHooks(fixed)
        settings_ = HookSettings(
            Policy.NONE,
            rules=RULES,
            softnet_limit=LIMITS.softnet_limit,
            softnet_cost_ns=LIMITS.softnet_cost_ns,
            mempool_pages=LIMITS.mempool_pages,
        )
        self.node.configure(settings_)
        self.node.config.service_shift = SHIFT
        names = ("cb_receive", "cb_deliver", "cb_transmit", "cb_operate")
        self.run = {name: libbpf.TestRun(self.node.program_fd(name)) for name in names}
        self._counters = (layout.Counters * libbpf.possible_cpus())()
        self._heard = (Protocols * libbpf.possible_cpus())()
        self.cpu = min(os.sched_getaffinity(0))

    def empty(self) -> None:
        """As after loading."""
        ctypes.memset(ctypes.addressof(self.node.pool), 0, ctypes.sizeof(layout.Pool))
        self.node.config.windows = 0
        self.node.config.policy = Policy.NONE
        self.node.config.enforce = 0
        blank = (layout.Counters * libbpf.possible_cpus())()
        write_map(self.node.map_fd("cb_counters"), 0, blank)
        unheard = (Protocols * libbpf.possible_cpus())()
        write_map(self.node.map_fd("cb_protocols"), 0, unheard)
        for index in range(SOCKETS):
            self.write_socket(index, layout.Socket())

    def write_socket(self, index: int, socket: layout.Socket) -> None:
        write_map(self.node.map_fd("cb_test_sockets"), index, socket)

    def read_socket(self, index: int) -> layout.Socket:
        socket = layout.Socket()
        libbpf.read_map(self.node.map_fd("cb_test_sockets"), index, socket)
        return socket

    def counters(self) -> bytes:
        """This processor's table."""
        libbpf.read_map(self.node.map_fd("cb_counters"), 0, self._counters)
        return bytes(self._counters[self.cpu])

    def heard(self) -> bytes:
        """Packets by protocol on this processor."""
        libbpf.read_map(self.node.map_fd("cb_protocols"), 0, self._heard)
        return bytes(self._heard[self.cpu])

    def call(
        self, name: str, frame: bytes, now: int, socket: int, mark: int = 0, queued: int = 0
    ) -> tuple[int, int]:
        """(verdict, mark afterwards); ``queued`` bytes wait behind a segment."""
        run = self.run[name]
        run.set_frame(frame)
        run.context.tstamp = now
        run.context.priority = socket
        run.context.mark = mark
        run.context.cb[0] = queued
        verdict = run()
        return verdict, int(run.context.mark)

    def operate(self, op: Op, now: int, first: int = 0, second: int = 0) -> int:
        run = self.run["cb_operate"]
        run.context.tstamp = now
        run.context.cb[0], run.context.cb[1], run.context.cb[2] = op, first, second
        run()
        return int(run.context.cb[3])


def decode_mark(mark: int) -> Mark:
    charged = bool(mark & layout.MARK_CHARGED)
    return Mark(
        PacketClass(mark & layout.MARK_CLASS_MASK),
        bool(mark & layout.MARK_FROM_RESERVE),
        (mark >> layout.MARK_PAGES_SHIFT & 0xFF) if charged else 0,
        mark >> layout.MARK_SLOT_SHIFT & 0xF,
        Origin(mark >> layout.MARK_ORIGIN_SHIFT & layout.MARK_ORIGIN_MASK),
    )


def _kind(piece: Piece) -> int:
    return piece.origin | KIND_RESERVE * piece.from_reserve


def _pieces(pieces: Pieces) -> tuple[int, ...]:
    kind = _kind(pieces.current) if pieces.left else 0
    return (pieces.left, kind, pieces.free_singles, pieces.free_fragments, pieces.pages)


def expected_buffers(model: CardBuffers) -> dict[str, Any]:
    """The state of ring, pieces, heads and readers by the reference."""
    return {
        "small": _pieces(model.small),
        "large": _pieces(model.large),
        "heads": (model.heads.at_hand, model.heads.pages),
        "ring": [(kind, len(list(run))) for kind, run in groupby(map(_kind, model.ring))],
        "deaf": (model.deaf, model.retry_at if model.deaf else 0),
        "running": {one: model.running[one].slots for one in Origin},
        "hoarded": model.hoarded,
    }


def buffers_of(pool: layout.Pool) -> dict[str, Any]:
    """The same by the hooks."""
    raw = pool.buffers

    def pieces(one: Any) -> tuple[int, ...]:
        kind = one.kind if one.left else 0
        return (one.left, kind, one.free_singles, one.free_fragments, one.pages)

    runs = [raw.run[(raw.first + index) % MAX_RING] for index in range(raw.runs)]
    slots = list(raw.slot)
    return {
        "small": pieces(raw.small),
        "large": pieces(raw.large),
        "heads": (raw.heads, raw.head_pages),
        "ring": [(run & KIND_MASK, run >> RUN_SHIFT) for run in runs],
        "deaf": (bool(raw.deaf), raw.retry_at if raw.deaf else 0),
        "running": {one: slots[one::ORIGINS] for one in Origin},
        "hoarded": {one: raw.hoarded[one] for one in Origin},
    }
