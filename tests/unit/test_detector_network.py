"""Every failure detector in a simulated network, with the membership on top."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.actions import FenceRequest, Standing
from nodes.membership.detector import Clear, Miss, Suspect
from nodes.membership.detectors.settings import KINDS, silence_ns
from tests.unit.heartbeat_simulation import GRACE, INTERVAL, MISSES, Simulation
from tests.unit.test_membership_network import begin, end

SECONDS = 10  # intervals; a second at 100 ms


def simulation(kind: str, count: int, seed: int = 1, **more: int) -> Simulation:
    jitter_ns = INTERVAL // 20
    return Simulation(count, seed, jitter_ns, settings=KINDS[kind].preset(INTERVAL, **more))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "seconds"), [(3, 180), (5, 120)])
def test_without_loss_nobody_is_missed_for_minutes(kind: str, count: int, seconds: int) -> None:
    network = simulation(kind, count)
    network.run(seconds * SECONDS * INTERVAL)
    assert network.effects == []


@pytest.mark.parametrize("kind", ["swim", "lifeguard"])
def test_nor_among_32_at_a_constant_cost_for_each(kind: str) -> None:
    network = simulation(kind, 32)
    network.run(20 * INTERVAL)
    network.datagrams = 0
    network.run(620 * INTERVAL)
    assert network.effects == []
    assert network.datagrams / 32 / 600 == pytest.approx(2, abs=0.05)  # a ping and an ack


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [3, 5, 32])
def test_a_silent_node_is_ejected_by_all_the_others(kind: str, count: int) -> None:
    network = simulation(kind, count)
    network.run(GRACE + 40 * INTERVAL)
    network.kill("n2")
    killed = network.now
    # Somebody probes it in one of the next periods, the rest is suspicion and telling.
    usual = silence_ns(network.settings, count, INTERVAL, MISSES)
    network.run(killed + usual + 8 * INTERVAL)
    assert {e.peer for _, _, e in network.of_kind(Suspect) if isinstance(e, Suspect)} == {"n2"}
    for name in set(network.names) - {"n2"}:
        view = network.nodes[name].protocol.membership.view
        assert (view.number, len(view.names), "n2" in view.names) == (2, count - 1, False)
    assert len(network.of_kind(FenceRequest)) == 1


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(count=st.integers(3, 6), seed=st.integers(0, 2**32))
def test_an_ejected_node_boots_and_joins(kind: str, count: int, seed: int) -> None:
    network = simulation(kind, count, seed)
    network.reboot_after = 5 * INTERVAL
    network.run(6 * INTERVAL)
    network.stall("n1")
    network.run(network.now + 60 * INTERVAL)
    for node in network.nodes.values():
        view = node.protocol.membership.view
        assert (view.number, view.names) == (3, tuple(network.names))
        assert view.incarnations["n1"] == 1
        assert not node.protocol.membership.suspects


@pytest.mark.parametrize("kind", ["swim", "lifeguard"])
def test_a_node_cut_off_from_one_other_is_saved_by_helpers(kind: str) -> None:
    network = simulation(kind, 5)
    network.run(10 * INTERVAL)
    network.cut = lambda a, b: {a, b} == {"n1", "n2"}
    network.run(300 * INTERVAL)
    assert network.of_kind(Miss)
    assert not network.of_kind(Suspect)


@pytest.mark.parametrize("kind", ["swim", "lifeguard"])
def test_a_short_stall_is_suspected_and_refuted(kind: str) -> None:
    network = simulation(kind, 5)
    network.run(10 * INTERVAL)
    network.stall("n3")
    network.run(13 * INTERVAL)
    network.resume("n3")
    network.run(100 * INTERVAL)
    assert network.of_kind(Miss)
    assert not network.of_kind(Suspect)
    assert {node.protocol.membership.view.number for node in network.nodes.values()} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_was_not_really_fenced_learns_that_it_is_out(kind: str) -> None:
    network = Simulation(5, 1, fencing=False, settings=KINDS[kind].preset(INTERVAL))
    network.run(10 * INTERVAL)
    network.stall("n1")
    network.run(60 * INTERVAL)
    assert network.nodes["n2"].protocol.membership.view.names == ("n2", "n3", "n4", "n5")
    # What was sent to it meanwhile is lost, and by now nobody has anything more to tell it.
    network.nodes["n1"].waiting.clear()
    network.resume("n1")
    network.run(70 * INTERVAL)
    assert network.nodes["n1"].protocol.membership.standing is Standing.EJECTED


@pytest.mark.parametrize("kind", ["swim", "lifeguard"])
def test_an_even_split_fences_nobody_and_heals(kind: str) -> None:
    network = simulation(kind, 4)
    half = {"n1", "n2"}
    network.run(5 * INTERVAL)
    network.cut = lambda a, b: (a in half) != (b in half)
    network.run(100 * INTERVAL)
    assert not network.of_kind(FenceRequest)
    assert len(network.of_kind(Suspect)) == 8
    network.cut = lambda _a, _b: False
    network.run(140 * INTERVAL)
    # Those that the others held for dead were believed to be by their own half too, for a moment.
    assert len(network.of_kind(Clear)) == len(network.of_kind(Suspect))
    assert all(not n.protocol.membership.suspects for n in network.nodes.values())


def misses_of_a_slow_node(kind: str) -> tuple[int, int]:
    """Misses by n1, and suspicions, when what comes to n1 comes one and a half intervals late."""
    network = simulation(kind, 5, 3)
    network.run(10 * INTERVAL)
    network.slow = lambda _sender, receiver: 3 * INTERVAL // 2 if receiver == "n1" else 0
    network.run(210 * INTERVAL)
    return len(network.of_kind(Miss, "n1")), len(network.of_kind(Suspect))


def test_local_health_slows_a_node_that_is_late_itself() -> None:
    swim, lifeguard = misses_of_a_slow_node("swim"), misses_of_a_slow_node("lifeguard")
    assert swim[0] > 100
    assert lifeguard[0] < swim[0] / 3
    assert lifeguard[1] == 0


FAULT = st.tuples(
    st.sampled_from(["cut", "deaf", "stall", "crash"]),
    st.sets(st.integers(0, 4), min_size=1, max_size=2),
    st.integers(1, 20),
    st.integers(0, 8),
)


@pytest.mark.parametrize("kind", ["swim", "lifeguard"])
@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 5), seed=st.integers(0, 2**32), faults=st.lists(FAULT, max_size=4))
def test_under_any_faults_views_stay_unique_and_every_fence_has_its_majority(
    kind: str, count: int, seed: int, faults: list[tuple[str, set[int], int, int]]
) -> None:
    """The simulation itself asserts both; what has lasted for long has healed."""
    network = simulation(kind, count, seed)
    network.reboot_after = 6 * INTERVAL
    network.run(GRACE + 2 * INTERVAL)
    for fault, which, length, pause in faults:
        victims = {network.names[i % count] for i in which}
        begin(network, fault, victims)
        network.run(network.now + length * INTERVAL)
        end(network, fault, victims)
        network.run(network.now + pause * INTERVAL)
    network.run(network.now + 250 * INTERVAL)
    views = {node.protocol.membership.view for node in network.nodes.values()}
    newest = max(views, key=lambda view: view.number)
    survivors = [n for n in newest.names if newest.incarnations[n] == network.nodes[n].incarnation]
    if newest.number and len(survivors) + 1 >= newest.majority:
        assert views == {newest}
        assert newest.names == tuple(network.names)
