"""Every kind of fault. A kind that is listed in ``AnyFault`` is known everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, get_args

from pydantic import BeforeValidator, Field

from crunchbed.faults.agent_crash import AgentCrash
from crunchbed.faults.arp_expiry import ArpExpiry
from crunchbed.faults.base import MOST_FAULTS, Effect, FaultSection
from crunchbed.faults.burst import Burst
from crunchbed.faults.controller_crash import ControllerCrash
from crunchbed.faults.delay import Delay
from crunchbed.faults.fence_failure import FenceFailure
from crunchbed.faults.link_down import LinkDown
from crunchbed.faults.loss import Loss
from crunchbed.faults.node_crash import NodeCrash
from crunchbed.faults.partition import Partition
from crunchbed.faults.resize_reserve import ResizeReserve
from crunchbed.faults.slow_disk import SlowDisk
from crunchbed.faults.stall import Stall
from crunchbed.faults.switch_crash import SwitchCrash
from crunchbed.faults.target_crash import TargetCrash
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import reject
from reserve_agent.contract.events.faults import FaultBegan

AnyFault = (
    LinkDown
    | Partition
    | Loss
    | Delay
    | NodeCrash
    | AgentCrash
    | ControllerCrash
    | SwitchCrash
    | TargetCrash
    | SlowDisk
    | Stall
    | Burst
    | ArpExpiry
    | ResizeReserve
    | FenceFailure
)
MODELS: Final[dict[str, type[FaultSection]]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(AnyFault)
}
"""The settings of every kind, by the kind's name."""
FAULT_KINDS: Final = tuple(MODELS)
"""The names of the kinds, in the order in which messages list them."""


def _list(value: object) -> tuple[object, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_FAULTS:
        reject(f"a list of faults, at most {MOST_FAULTS}, each with kind and target")
    return tuple(value)


Fault = Annotated[AnyFault, Field(discriminator="kind")]
Faults = Annotated[tuple[Fault, ...], BeforeValidator(_list)]
"""``faults`` of a scenario."""


def contradictions(faults: Sequence[FaultSection], facts: ClusterFacts) -> Iterator[Contradiction]:
    """Yield what does not go together of the faults and the rest of the scenario."""
    total = sum(fault.count for fault in faults)
    if total > MOST_FAULTS:
        yield "faults", f"at most {MOST_FAULTS} faults, each as often as it comes", str(total)
    for index, fault in enumerate(faults):
        for key, expected, got in fault.contradictions(facts):
            yield f"faults[{index}].{key}", expected, got


def effect_of(event: FaultBegan) -> Effect:
    """Return what a recorded fault did; a kind that this version does not know has no effect."""
    model = MODELS.get(event.fault)
    return Effect() if model is None else model.effect(event)
