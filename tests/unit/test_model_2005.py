"""``proposal-2005`` is the model that there was before profiles: the same verdicts to the digit."""

from __future__ import annotations

import pytest

from reserve_agent.contract.packets import Policy
from reserve_agent.model.node import NodeModel
from tests.unit.model_steps import Steps

DIGESTS = {
    Policy.NONE: "fe297c637b87b647",
    Policy.SOFTNET: "564fbd0c8b466bbb",
    Policy.MEMALLOC: "b01e7dd443d2cb96",
    Policy.MEMPOOL: "2894b43e15416740",
    Policy.CRITICAL: "5df9b0c37174aebc",
}
"""Of 4,000 steps by the model of commit fdd5c67: every verdict, the pool after it, all counters."""


@pytest.mark.parametrize("policy", Policy)
def test_the_default_gives_the_old_verdicts(policy: Policy) -> None:
    steps = Steps(policy, 2005)
    assert steps.run(4000) == DIGESTS[policy]
    assert steps.model.pool.pressure_episodes > 20
    assert sum(steps.model.packets.values()) > 2500


def test_the_default_is_the_proposal() -> None:
    assert NodeModel().kernel.name == "proposal-2005"
