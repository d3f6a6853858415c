"""``stall``: daemons of a node stand still for a while, and go on where they stood.

On the storage host it is the block target that stands still: it hangs without dying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, model_validator

from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.base import RANDOM, STORAGE, Effect, Host, Lasting, targets_of
from crunchbed.faults.holds import Daemon
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from reserve_agent.contract.events.faults import FaultBegan

STALLED_DAEMONS: Final = ("heartbeat", "service", "initiator", "traffic")
"""The daemons that can be stalled; the key ``all`` means all of them that a node has."""
TARGET: Final = "target"
"""The daemon of the storage host: the block target."""
_DEFAULT: Final = ("heartbeat",)


def _daemons(value: object) -> object:
    return STALLED_DAEMONS if value == "all" else value


def _has(facts: ClusterFacts, host: str) -> tuple[str, ...]:
    if host == STORAGE:
        return () if facts.pair else (TARGET,)
    return ("heartbeat", "service" if host in facts.pair else "initiator", "traffic")


class Stall(Lasting):
    """``daemons``: names of the daemons that stand still."""

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["stall"]
    target: Host = "n1"
    daemons: Annotated[
        tuple[str, ...],
        kinds.subset((*STALLED_DAEMONS, TARGET), least=1),
        BeforeValidator(_daemons),
    ] = _DEFAULT

    @model_validator(mode="before")
    @classmethod
    def _target_is_all_of_storage(cls, keys: object) -> object:
        if isinstance(keys, Mapping) and keys.get("target") == STORAGE:
            return {"daemons": [TARGET], **keys}
        return keys

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """Daemons stand still; the node is silent where the heartbeat daemon is among them."""
        targets = targets_of(event)
        daemons = _DEFAULT if event.daemons is None else event.daemons
        if TARGET in daemons:
            return Effect(target_failed=True)
        return Effect(stalled=dict.fromkeys(targets, daemons), silenced=targets)

    def _own_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        hosts = facts.node_names if self.target == RANDOM else self.targets
        known = [_has(facts, host) for host in hosts if host in (*facts.node_names, STORAGE)]
        if self.target == STORAGE and facts.pair:
            yield "target", "a node of block_io.pair, with daemons: [service]", STORAGE
        elif known and not any(self._meets(names) for names in known):
            yield "daemons", f"some of {', '.join(known[0])}", ", ".join(self.daemons)

    def _meets(self, names: tuple[str, ...]) -> bool:
        return self.daemons == STALLED_DAEMONS or set(self.daemons) <= set(names)


class _StallAction(FaultAction[Stall], of=Stall):
    """Pauses daemons, of ``all`` those that the node has, and resumes them."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        host, daemons = self._fault.target, self._fault.daemons
        if host == STORAGE:
            self._hold_target("stalled", 1)
            return replace(event, daemons=daemons)
        node = self._with_power(host)
        there = tuple(name for name in daemons if name in node.daemon_names)
        if not there:
            raise NotPossible(f"{node.name} has no daemon {', '.join(daemons)}")
        wanted = {Daemon(node.name, node.incarnation, name): True for name in there}
        self._context.holds.daemons.hold(self, wanted)
        return replace(event, daemons=there)
