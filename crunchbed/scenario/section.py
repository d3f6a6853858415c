"""What every section of a scenario is, and the sections that need nothing but plain keys.

Durations are nanoseconds, sizes bytes, memory pages 4 KiB.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import DurationText, Pages, Port, SizeText
from reserve_agent.contract.packets import SOFTNET_COST_NS, SOFTNET_LIMIT


class Section(BaseModel):
    """A mapping of known keys that nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Memory(Section):
    """A node's page pool: ``clean`` pages are used by tasks from the start."""

    pages: Pages = 16384
    clean: Annotated[int, kinds.whole("pages", 0)] = 8192
    reserve: Annotated[int | Literal["auto"], kinds.whole_or_auto("pages", 1)] = 256
    service_time: Annotated[int, kinds.duration("1us", "1s"), DurationText] = 200_000
    on_exhaustion: Annotated[str, kinds.choice(("drop", "panic"))] = "drop"


class Heartbeat(Section):
    """Without a ``detector``, a node is suspected after ``misses`` intervals without a heartbeat.

    ``port`` is UDP.
    """

    interval: Annotated[int, kinds.duration("5ms", "60s"), DurationText] = 100_000_000
    misses: Annotated[int, kinds.whole("heartbeats", 1, 1000)] = 5
    port: Port = 7405

    @property
    def silence_ns(self) -> int:
        """``misses`` intervals."""
        return self.interval * self.misses


class Softnet(Section):
    """The input queue of the policy ``softnet``: its length, and the time that a packet costs."""

    limit: Annotated[int, kinds.whole("packets", 1, 1_000_000)] = SOFTNET_LIMIT
    cost: Annotated[int, kinds.duration("1us", "10ms"), DurationText] = SOFTNET_COST_NS


class Fencing(Section):
    """What happens to an ejected node; without ``confirm`` it is only assumed to be cut off."""

    reboot_delay: Annotated[int, kinds.duration("0s"), DurationText] = 2_000_000_000
    confirm: Annotated[bool, kinds.yes_or_no()] = True


class Traffic(Section):
    """Packets of class ``other``, for a reader on every node that is a normal task."""

    rate: Annotated[int, kinds.whole("packets a second", 0, 1_000_000)] = 1000
    size: Annotated[int, kinds.size("16B", "1400B"), SizeText] = 512
    port: Port = 9000


class Phases(Section):
    """``control`` is measured before the fault; ``inject`` and ``recovery`` last at most this.

    ``after`` is measured once the cluster is whole again, or the recovery is over.
    """

    control: Annotated[int, kinds.duration("100ms"), DurationText] = 4_000_000_000
    inject: Annotated[int, kinds.duration("100ms"), DurationText] = 6_000_000_000
    recovery: Annotated[int, kinds.duration("0s"), DurationText] = 15_000_000_000
    after: Annotated[int, kinds.duration("0s"), DurationText] = 0
