"""The rules are written twice: here both are driven with the same steps and compared after each.

The hooks run through BPF_PROG_TEST_RUN with a clock and sockets that the test hands in; the
reference is ``reserve_agent.model``. Every step compares the verdict, the whole pool, the whole
counter table and the socket, and checks the invariants: no page is lost or invented, none is
negative, the bottom is never passed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, settings

from reserve_agent.contract.packets import Hook, PacketClass, Policy, Reason
from reserve_agent.model.profiles import CARDS, KERNELS, LINUX_6_1, PROPOSAL_2005
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from tests.system.twins import Hooks
from tests.system.two_nodes import TwoNodes

pytestmark = pytest.mark.root

STEPS = 200
PROPOSED, QUICK, SLOW = 600, 8, 60
"""Examples: of the proposal at least 100,000 steps, and of all the others in the slow test."""
PROFILES = [
    (kernel, card) for kernel in KERNELS.values() if kernel.buffers for card in CARDS.values()
]


@pytest.fixture(scope="module", autouse=True)
def one_processor() -> Iterator[None]:
    """Counters are per processor: stay on one, and compare that one's whole table."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@contextmanager
def twins(kernel: Kernel, card: Card | None) -> Iterator[type[TwoNodes]]:
    """Both by a kernel and a card."""
    hooks = Hooks(kernel, card)
    attributes = {"hooks": hooks, "kernel": kernel, "card": card, "scale": 5 if card else 1}
    try:
        yield type(f"{kernel.name} {card and card.name}", (TwoNodes,), attributes)
    finally:
        hooks.node.close()


def agree(kernel: Kernel, card: Card | None, examples: int) -> None:
    """Drive both by a kernel and a card."""
    with twins(kernel, card) as machine:
        machine.TestCase.settings = settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            # Shrinking 200 steps takes minutes; the step that fails says what differs.
            phases=(Phase.explicit, Phase.generate),
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        machine.TestCase("runTest").runTest()


def test_reference_and_hooks_agree() -> None:
    agree(PROPOSAL_2005, None, PROPOSED)


def _name(profile: Kernel | Card) -> str:
    return profile.name


@pytest.mark.parametrize(("kernel", "card"), PROFILES, ids=_name)
def test_they_agree_by_each_kernel_and_card(kernel: Kernel, card: Card) -> None:
    agree(kernel, card, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "card"), PROFILES, ids=_name)
def test_they_agree_for_longer(kernel: Kernel, card: Card) -> None:
    """At least 200,000 steps in all."""
    agree(kernel, card, SLOW)


def test_they_agree_on_what_a_card_got_although_nobody_is_flagged() -> None:
    """Rare by chance: igb's pages are used again, until a reader keeps them."""
    with twins(LINUX_6_1, CARDS["igb"]) as machine:
        two = machine()
        two.size(200, 60, 0, Policy.NONE)
        two.flag(0, memalloc=False, writeback=False, stalled=True)
        two.add_window(0, 100_000, 10)
        two.tick(1)
        for _ in range(2):
            two.flood(0, 1448, 20, 0)
        two.flood(1, 1448, 300, 64)
        counts = two.model.packets
        assert counts[Hook.DELIVER, PacketClass.HEARTBEAT, Reason.NOT_MEMALLOC] > 10


def test_they_agree_on_a_node_that_falls_mute() -> None:
    """In three crunches it sends 24 datagrams, hears two, and sends two more; then it reboots."""
    with twins(LINUX_6_1, CARDS["e1000"]) as machine:
        two = machine()
        two.size(200, 60, 0, Policy.NONE)
        two.flag(1, memalloc=False, writeback=False, realtime=True)
        for level in (5, 12, 3):
            two.add_window(0, 100, level)
            two.tick(1)
            two.speak(1, 30)
            two.burst(0, 2, 0)
            two.speak(1, 5)
            two.tick(200)
            two.speak(1, 30)
        two.add_window(0, 100, 5)
        two.tick(1)
        two.speak(1, 30)
        two.reset(140)
        two.speak(1, 30)
        counts = two.model.packets
        assert counts[Hook.TRANSMIT, PacketClass.HEARTBEAT, Reason.TX_STALLED] == 3 * (6 + 3) + 6
