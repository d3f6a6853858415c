"""The heartbeat protocol of several nodes in a simulated network."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodes.membership.actions import FenceRequest, NewView, Standing
from nodes.membership.detector import Clear, Miss, Suspect
from tests.unit.heartbeat_simulation import GRACE, INTERVAL, MISSES, TICK, Simulation


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32), st.integers(0, INTERVAL // 5))
def test_nobody_on_time_is_missed(count: int, seed: int, jitter_ns: int) -> None:
    simulation = Simulation(count, seed, jitter_ns)
    simulation.run(30 * INTERVAL)
    assert simulation.effects == []


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 8), st.integers(0, 2**32), st.data())
def test_a_silent_node_is_suspected_in_time_and_ejected(
    count: int, seed: int, data: st.DataObject
) -> None:
    simulation = Simulation(count, seed, jitter_ns=INTERVAL // 10)
    victim = data.draw(st.sampled_from(simulation.names))
    simulation.run(6 * INTERVAL)
    simulation.kill(victim)
    killed = simulation.now
    simulation.run(killed + 15 * INTERVAL)
    bound = killed + MISSES * INTERVAL + INTERVAL // 2 + INTERVAL // 10 + TICK
    suspected = simulation.of_kind(Suspect)
    assert {name for _, name, _ in suspected} == set(simulation.names) - {victim}
    assert all(t <= bound for t, _, _ in suspected)
    for name in set(simulation.names) - {victim}:
        view = simulation.nodes[name].protocol.membership.view
        assert (view.number, victim in view.names, len(view.names)) == (2, False, count - 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 6), st.integers(0, 2**32), st.data())
def test_a_fenced_node_boots_and_joins(count: int, seed: int, data: st.DataObject) -> None:
    simulation = Simulation(count, seed, jitter_ns=INTERVAL // 10)
    simulation.reboot_after = 5 * INTERVAL
    victim = data.draw(st.sampled_from(simulation.names))
    simulation.run(6 * INTERVAL)
    simulation.stall(victim)
    simulation.run(simulation.now + 25 * INTERVAL)
    for node in simulation.nodes.values():
        view = node.protocol.membership.view
        assert (view.number, view.names) == (3, tuple(simulation.names))
        assert view.incarnations[victim] == 1
    assert len(simulation.of_kind(FenceRequest)) == 1
    first_after = max(t for t, _, _ in simulation.of_kind(NewView))
    assert not [t for t, _, _ in simulation.of_kind(Miss) if t > first_after]


def test_a_stalled_node_that_was_not_really_fenced_learns_that_it_is_out() -> None:
    simulation = Simulation(3, 1, fencing=False)
    simulation.run(5 * INTERVAL)
    simulation.stall("n1")
    simulation.run(15 * INTERVAL)
    sent = simulation.nodes["n1"].seq
    simulation.resume("n1")
    assert simulation.nodes["n1"].protocol.membership.standing is Standing.EJECTED
    simulation.run(30 * INTERVAL)
    assert sent < simulation.nodes["n1"].seq  # it had its turns, and sent nothing:
    assert not simulation.of_kind(Clear)
    assert not simulation.of_kind(FenceRequest, "n1")
    for survivor in ("n2", "n3"):
        assert simulation.nodes[survivor].protocol.membership.view.names == ("n2", "n3")


def test_a_short_stall_costs_misses_to_others_and_none_to_the_stalled() -> None:
    simulation = Simulation(3, 1)
    simulation.run(5 * INTERVAL)
    simulation.stall("n2")
    simulation.run(7 * INTERVAL)
    simulation.resume("n2")
    simulation.run(20 * INTERVAL)
    assert simulation.of_kind(Miss)
    assert not simulation.of_kind(Miss, "n2")
    assert not simulation.of_kind(NewView)


@pytest.mark.parametrize("count", [2, 4])
def test_an_even_split_fences_nobody(count: int) -> None:
    simulation = Simulation(count, 7)
    half = set(simulation.names[: count // 2])
    simulation.run(5 * INTERVAL)
    simulation.cut = lambda a, b: (a in half) != (b in half)
    simulation.run(40 * INTERVAL)
    assert not simulation.of_kind(FenceRequest)
    simulation.cut = lambda _a, _b: False
    simulation.run(50 * INTERVAL)
    assert all(not n.protocol.membership.suspects for n in simulation.nodes.values())


def test_a_fence_service_that_does_not_answer_is_asked_again_and_nobody_leaves() -> None:
    simulation = Simulation(3, 3)
    simulation.fence_silent = True
    simulation.run(5 * INTERVAL)
    simulation.kill("n3")
    simulation.run(25 * INTERVAL)
    assert len(simulation.of_kind(FenceRequest)) >= 3
    assert not simulation.of_kind(NewView)
    simulation.fence_silent = False
    simulation.run(35 * INTERVAL)
    assert simulation.nodes["n1"].protocol.membership.view.names == ("n1", "n2")


FAULT = st.tuples(
    st.sampled_from(["cut", "deaf", "stall", "crash"]),
    st.sets(st.integers(0, 4), min_size=1, max_size=2),
    st.integers(1, 15),  # for how many intervals
    st.integers(0, 8),  # pause before the next
)


@settings(max_examples=150, deadline=None)
# A view whose author was fenced lived on in the node that it first admitted, and won.
@example(5, 1878, [("deaf", {0}, 10, 6), ("cut", {0, 1}, 13, 1), ("cut", {0, 1}, 7, 0)])
@given(st.integers(2, 5), st.integers(0, 2**32), st.lists(FAULT, max_size=6))
def test_under_any_faults_views_stay_unique_and_the_cluster_heals(
    count: int, seed: int, faults: list[tuple[str, set[int], int, int]]
) -> None:
    """The simulation itself asserts unique views and that every fence had its majority."""
    simulation = Simulation(count, seed, jitter_ns=INTERVAL // 10)
    simulation.reboot_after = 6 * INTERVAL
    simulation.run(GRACE + 2 * INTERVAL)
    for kind, which, length, pause in faults:
        victims = {simulation.names[i % count] for i in which}
        begin(simulation, kind, victims)
        simulation.run(simulation.now + length * INTERVAL)
        end(simulation, kind, victims)
        simulation.run(simulation.now + pause * INTERVAL)
    simulation.run(simulation.now + 60 * INTERVAL)
    views = {node.protocol.membership.view for node in simulation.nodes.values()}
    newest = max(views, key=lambda view: view.number)
    survivors = [
        n for n in newest.names if newest.incarnations[n] == simulation.nodes[n].incarnation
    ]
    # Else it died as a whole, see the rules.
    if newest.number and len(survivors) + 1 >= newest.majority:
        assert views == {newest}
        assert newest.names == tuple(simulation.names)


def begin(simulation: Simulation, kind: str, victims: set[str]) -> None:
    if kind == "cut":
        simulation.cut = lambda a, b: (a in victims) != (b in victims)
    elif kind == "deaf":
        simulation.cut = lambda _a, b: b in victims
    for name in sorted(victims):
        if kind == "stall":
            simulation.stall(name)
        elif kind == "crash" and simulation.healthy() > max(1, len(simulation.names) // 2):
            simulation.kill(name)


def end(simulation: Simulation, kind: str, victims: set[str]) -> None:
    if kind in ("cut", "deaf"):
        simulation.cut = lambda _a, _b: False
    elif kind == "stall":
        for name in sorted(victims):
            simulation.resume(name)
