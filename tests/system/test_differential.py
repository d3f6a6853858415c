"""The rules are written twice: here both are driven with the same steps and compared after each.

The hooks run through BPF_PROG_TEST_RUN with a clock and sockets that the test hands in; the
reference is ``reserve_agent.model``. Every step compares the verdict, the whole pool, the whole
counter table and the socket, and checks the invariants: no page is lost or invented, none is
negative, the bottom is never passed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, settings

from reserve_agent.contract.packets import WHEEL_SLOTS, Hook, PacketClass, Policy, Reason
from reserve_agent.model.profiles import CARDS, KERNELS, LINUX_6_1, PROPOSAL_2005
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from tests.system.twins import SHIFT, Hooks
from tests.system.two_nodes import DATAGRAM, TwoNodes

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
    attributes["seen"] = Counter()
    try:
        yield type(f"{kernel.name} {card and card.name}", (TwoNodes,), attributes)
    finally:
        hooks.node.close()


def drive(machine: type[TwoNodes], examples: int) -> None:
    """Drive both by random steps."""
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


def walk_the_border(machine: type[TwoNodes]) -> None:
    """Drive both over each page of the border, before and after a crunch that marks the ring."""
    two = machine()
    two.size(200, 30, 0, Policy.MEMALLOC)
    for _ in range(2):
        for beyond in (2, 1, 0, -1, 1):
            two.at_the_border(beyond, 2, 4)
            two.transmit(DATAGRAM, 2, 0)
            two.flood(2, 1448, 20, 1)
            two.long_wait()
        two.add_window(0, 800, 5)
        two.tick(1)
        two.flood(0, 1448, 300, 1)
        two.long_wait()
    assert min(machine.seen["booked"], machine.seen["counted"]) > 10
    assert machine.seen["crossings"] > 2


def test_reference_and_hooks_agree() -> None:
    with twins(PROPOSAL_2005, None) as machine:
        walk_the_border(machine)
        drive(machine, PROPOSED)
        assert min(machine.seen["booked"], machine.seen["counted"]) > 5 * PROPOSED
        assert machine.seen["crossings"] > PROPOSED


def test_they_agree_on_segments_that_are_charged_already() -> None:
    """Most segments: what was written was brought to account by an earlier one."""
    with twins(PROPOSAL_2005, None) as machine:
        two = machine()
        two.size(200, 20, 0, Policy.MEMALLOC)
        two.stream(2, 1000, 7000)
        for back in (7000, 6000, 4000, 1000, 1):
            two.stream(2, min(back, 1448), back - min(back, 1448), back)
        assert int(two.hooks.node.pool.tx) == 2


def test_they_agree_on_what_was_not_booked_and_is_dropped() -> None:
    """It gives nothing back, although others hold as much in the slot that its mark names."""
    with twins(PROPOSAL_2005, None) as machine:
        two = machine()
        two.size(200, 20, 0, Policy.CRITICAL)
        two.receive(DATAGRAM, 0)
        two.emergency(True)
        two.now += (-two.now) % (WHEEL_SLOTS << SHIFT)
        two.receive(DATAGRAM, 0)
        assert two.model.pool.running.slots[0] == 1
        two.deliver(1, 2, 0)
        assert two.model.packets[Hook.DELIVER, PacketClass.HEARTBEAT, Reason.NOT_CRITICAL] == 1


def _name(profile: Kernel | Card) -> str:
    return profile.name


@pytest.mark.parametrize(("kernel", "card"), PROFILES, ids=_name)
def test_they_agree_by_each_kernel_and_card(kernel: Kernel, card: Card) -> None:
    with twins(kernel, card) as machine:
        walk_the_border(machine)
        drive(machine, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "card"), PROFILES, ids=_name)
def test_they_agree_for_longer(kernel: Kernel, card: Card) -> None:
    """At least 200,000 steps in all."""
    with twins(kernel, card) as machine:
        drive(machine, SLOW)


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
