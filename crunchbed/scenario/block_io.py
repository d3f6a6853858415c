"""``block_io:`` of a scenario: the network disk, how nodes reach it, and when they give up.

Time-outs have the names and the meaning that they have in open-iscsi (``iscsid.conf``) and in the
kernel's NBD driver (``nbd-netlink.h``), and the defaults of open-iscsi 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import Contradiction
from crunchbed.scenario.kinds import DurationText, Port, SizeText
from crunchbed.scenario.section import Section
from crunchbed.scenario.units import format_duration, format_size
from reserve_agent.contract.packets import PAGE_BYTES

PORTS: Final = {"nbd": 10809, "iscsi": 3260, "nvme-tcp": 4420}
"""The transports, and the registered TCP port of each."""
MACHINE_WRITES: Final = 4
"""Writes that a machine has under way at most, whatever the queue depth; a thread for each."""
_KEEP_ALIVE_NS: Final = 5_000_000_000
"""Within which the kernel's nvme-tcp expects an answer to its keep-alive (NVME_DEFAULT_KATO)."""
_KEY = "12 to 16 printable characters without blanks, as a CHAP secret has"
_NEVER = "never"


_bounded = kinds.duration_of("0s")
_OrNeverText: Final = PlainSerializer(
    lambda value: _NEVER if value is None else format_duration(value), return_type=str
)
_OrNever = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value == _NEVER else _bounded(value)),
    _OrNeverText,
]
"""A duration, or ``never``, which is None."""
_Duration = Annotated[int, kinds.duration("0s"), DurationText]
_Secret = Annotated[str, kinds.text(_KEY, r"[!-~]{12,16}")]


_PAIR = "two different cluster nodes such as [n4, n5], or []"


def _pair(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) not in (0, 2):
        kinds.reject(_PAIR)
    if len(set(map(str, value))) != len(value):
        kinds.reject(_PAIR)
    if not all(isinstance(n, str) and re.fullmatch(r"n[1-9]\d{0,3}", n, re.ASCII) for n in value):
        kinds.reject(_PAIR)
    return tuple(value)


class Chap(Section):
    """What the target asks initiators for; ``initiator_secret`` is theirs if it is another."""

    user: Annotated[str, kinds.text("a name of letters, digits and . _ -", r"[\w.-]{1,64}")]
    secret: _Secret
    initiator_secret: _Secret | None = None


class Iscsi(Section):
    """An iSCSI session, by open-iscsi's names."""

    login_timeout: Annotated[int, kinds.duration("10ms"), DurationText] = 15_000_000_000
    noop_out_interval: _Duration = 5_000_000_000
    noop_out_timeout: _Duration = 5_000_000_000
    replacement_timeout: _OrNever = 120_000_000_000
    chap: Chap | None = None


class Nbd(Section):
    """An NBD connection, by the names of the kernel's driver."""

    timeout: _Duration = 0
    dead_conn_timeout: _OrNever = 120_000_000_000


def _registered_port(known: dict[str, Any]) -> int:
    return PORTS[known.get("transport", "nbd")]


class BlockIo(Section):
    """Block I/O of every node; ``dirty_rate`` is its steady background in pages a second.

    ``port`` left out is the transport's own. ``pair``: two cluster nodes that serve the device in
    turn, in place of the storage host; empty where the storage host serves.
    """

    transport: Annotated[str, kinds.choice(tuple(PORTS))] = "nbd"
    queue_depth: Annotated[int, kinds.whole("requests", 1, 1024)] = 16
    request: Annotated[int, kinds.size("4KiB", "32MiB"), SizeText] = 16384
    export: Annotated[int, kinds.size("4KiB", "1024GiB"), SizeText] = 268_435_456
    dirty_rate: Annotated[int, kinds.whole("pages a second", 0)] = 500
    port: Port = Field(default_factory=_registered_port)
    pair: Annotated[tuple[str, ...], BeforeValidator(_pair)] = ()
    iscsi: Iscsi = Iscsi()
    nbd: Nbd = Nbd()

    @property
    def answer_ns(self) -> int | None:
        """How long an initiator waits for an answer of its target; None: for ever."""
        if self.transport == "nbd":
            return self.nbd.timeout or None
        if self.transport == "nvme-tcp":
            return _KEEP_ALIVE_NS
        return self.iscsi.noop_out_timeout if self.iscsi.noop_out_interval else None


def contradictions(block_io: BlockIo, nodes: int) -> Iterator[Contradiction]:
    """Find sizes that do not go together, or not with so many cluster nodes."""
    request, export = block_io.request, block_io.export
    for key, value in (("request", request), ("export", export)):
        if value % PAGE_BYTES:
            yield f"block_io.{key}", "a multiple of 4KiB", format_size(value)
    if request > export:
        yield (
            "block_io.request",
            f"at most block_io.export ({format_size(export)})",
            format_size(request),
        )
    elif request > export // nodes:
        least = format_size(request * nodes)
        yield "block_io.export", f"room for a request of each node ({least})", format_size(export)
