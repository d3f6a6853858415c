"""``slow-disk``: the disk behind the block target becomes slow; every write takes longer.

A target learns its delay when it starts, so it is started anew with the delay, and at the end
without it. Initiators reconnect both times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from crunchbed.faults.action import FaultAction
from crunchbed.faults.base import STORAGE, Effect, Lasting
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText
from reserve_agent.contract.events.faults import FaultBegan


class SlowDisk(Lasting):
    """``wdelay``: time that every write takes longer."""

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["slow-disk"]
    target: Annotated[str, kinds.choice((STORAGE,))] = STORAGE
    wdelay: Annotated[int, kinds.duration("1ms", "60s"), DurationText] = 100_000_000

    @staticmethod
    def effect(_event: FaultBegan, /) -> Effect:
        """Everybody's writes wait for the target, which is started twice."""
        return Effect(target_failed=True)

    def _own_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        if facts.pair:
            yield (
                "kind",
                "another kind where cluster nodes serve: slowing the target is restarting it",
                "slow-disk with block_io.pair",
            )
        if facts.transport != "nbd":
            yield (
                "kind",
                "another kind with this transport: the delay filter is nbdkit's",
                f"slow-disk with block_io.transport {facts.transport}",
            )


class _SlowDiskAction(FaultAction[SlowDisk], of=SlowDisk):
    """Starts the block target anew with a delay of every write."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        self._hold_target("delay", self._fault.wdelay)
        return replace(event, wdelay_ns=self._fault.wdelay)
