"""What a run and its world tell each other, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_ASKED_NS: Final = 100_000_000
"""Time in which a node's tasks have asked for a burst whose pages are all wanted at once."""

Command = dict[str, Any]
"""A command of another terminal, or the answer to one: a JSON object."""


@dataclass(frozen=True)
class NodeStatus:
    """A node at a moment. Pages are of 4 KiB; of a node without power they are what it had.

    Attributes:
        up: Whether the node has power.
        ready: Daemons that have begun their work since the last boot.
        view: Members of the node's latest view.
        serving: Whether the node serves the block device.
        misses: Heartbeats that the node has missed since the run began.
        written_pages: Pages whose writes were acknowledged since the run began.
        exhausted: Packets that the reserve had nothing left for, since the last boot.
        policy: The policy that the node follows.
        pressure: Whether the node is under memory pressure.
        waiting_pages: Pages that the node's tasks wait for.
        free_pages: Pages that nobody has.
        reserve_pages: Size of the reserve.
    """

    up: bool
    ready: Collection[str]
    view: Sequence[str]
    serving: bool
    misses: int
    written_pages: int
    exhausted: int
    policy: str
    pressure: bool
    waiting_pages: int
    free_pages: int
    reserve_pages: int


def burst_asked_ns(pages: int, rate: int) -> int:
    """Return the time from the begin of a burst until the node's tasks have asked for all pages.

    The burst is not over before. ``Node.begin_burst`` has the arguments.
    """
    return pages * 1_000_000_000 // rate + _ASKED_NS


@dataclass(frozen=True)
class Impairment:
    """What happens to packets on their way into ``target``, or out of it.

    Attributes:
        target: The host that the packets come to; with ``leaving``: that they come from.
        source: The host that the packets come from; None: any.
        loss: Share of the packets that is lost, 0 to 1.
        delay_ns: By how much the packets are held back.
        leaving: Whether it is the packets that leave ``target``; for delays only.
    """

    target: str
    source: str | None = None
    loss: float = 0.0
    delay_ns: int = 0
    leaving: bool = False


@dataclass(frozen=True)
class Flood:
    """Packets for a reader that does not read.

    Attributes:
        rate: Packets a second.
        duration_ns: How long they come.
        size: Bytes of payload of each.
        port: UDP port of the reader.
    """

    rate: int
    duration_ns: int
    size: int
    port: int


@dataclass(frozen=True)
class ReadBack:
    """What was found of all acknowledged blocks of 4 KiB.

    Attributes:
        checked: Blocks that were read.
        ok: Blocks that hold what was acknowledged last.
        lost: Blocks that hold something older, or nothing.
        corrupt: Blocks that hold what nobody wrote.
        bad_of_node: Lost and corrupt blocks by the node that wrote them.
    """

    checked: int
    ok: int
    lost: int
    corrupt: int
    bad_of_node: Mapping[str, int]
