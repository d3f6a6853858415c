"""Simulations of more nodes than any testbed has: what a summary leaves out, and that it may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from crunchbed.backends.simulation.heartbeats import HeartbeatDaemon
from crunchbed.backends.simulation.world import SimulatedWorld
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.run import engine
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.faults import CrunchBegan
from reserve_agent.contract.events.heartbeats import HeartbeatReceived, HeartbeatSent
from reserve_agent.contract.events.membership import MembershipSuspected, ViewInstalled
from reserve_agent.errors import BadInput
from topologies.layout import split, star

ROOT = Path(__file__).resolve().parents[2]
QUICK: Mapping[str, object] = {
    "heartbeat.interval": "200ms",
    "detector.suspicion_mult": 1,
    "crunch.length": "4s",
    "crunch.every": "4s",
    "phases.control": "2s",
    "phases.inject": "5s",
    "phases.recovery": "8s",
    "block_io.dirty_rate": 20,
    "block_io.request": "16KiB",
    "expect": [],
}
"""A suspicion of a second: the crunched node is ejected and comes back in a few."""

SIMULATED: Mapping[str, object] = {"cluster.backend": "simulation", "block_io.dirty_rate": 1}


def scenario(nodes: int, policy: str, **changes: object) -> Scenario:
    keys = {"cluster.nodes": nodes, "policy": policy, **QUICK, **changes}
    return load("thousand-swim").with_overrides(keys)


def run(wanted: Scenario, out: Path, seed: int = 1) -> tuple[Result, bytes]:
    result = engine.run(wanted, seed=seed, out=out, report=False)
    assert result.verdict == "pass", result.reasons
    return result, (out / "history.jsonl").read_bytes()


def made_both_ways(
    wanted: Scenario, seed: int, out: Path, monkeypatch: pytest.MonkeyPatch
) -> Result:
    """Count calm probes, then make them all packet by packet: nothing differs."""
    calm = 0

    def count(self: HeartbeatDaemon, now: int) -> None:
        nonlocal calm
        calm += 1
        counted(self, now)

    counted = HeartbeatDaemon.count_exchange
    monkeypatch.setattr(HeartbeatDaemon, "count_exchange", count)
    result, history = run(wanted, out / "calm", seed)
    assert calm > wanted.cluster.nodes * 5, "most probes are calm ones"
    calm = 0
    monkeypatch.setattr(SimulatedWorld, "counts_calm", False)
    other, packets = run(wanted, out / "packets", seed)
    assert calm == 0
    assert history == packets
    assert result == other
    return result


@pytest.mark.parametrize(
    ("nodes", "policy", "kind", "seed"),
    [
        (40, "memalloc", "swim", 1),
        (40, "none", "lifeguard", 2),
        (70, "none", "swim", 3),
        (70, "none", "lifeguard", 4),
    ],
)
def test_calm_probes_are_counted_and_no_event_and_no_figure_differs(
    nodes: int,
    policy: str,
    kind: str,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = scenario(nodes, policy, events="summary", detector={"kind": kind, "suspicion_mult": 1})
    result = made_both_ways(wanted, seed, tmp_path, monkeypatch)
    assert result.totals.false_ejections == (policy == "none")


@pytest.mark.parametrize("card", ["e1000", "vmxnet3"])
def test_nor_do_they_by_a_kernels_profile_while_a_card_still_has_buffers_of_the_crunch(
    card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"memory.kernel": "6.1", "memory.nic": card, "memalloc": ["block-io"]}
    changes |= {"crunch.depth": 0.75, "crunch.length": "1s", "events": "summary"}
    made_both_ways(scenario(40, "memalloc", **changes), 5, tmp_path, monkeypatch)


def test_a_crowd_that_is_deaf_is_ejected_and_accuses_in_vain(tmp_path: Path) -> None:
    changes = {"cluster.nodes": 5, "crunch.share": 0.4, "policy": "none", "expect": []}
    result, _ = run(load("crowd-crunch").with_overrides(changes | SIMULATED), tmp_path / "run")
    assert (result.totals.false_ejections, result.totals.healthy_ejections) == (2, 0)
    assert [name for name, node in result.nodes.items() if node.false_ejections] == ["n1", "n2"]
    assert result.crunch_achieved is not None
    assert result.crunch_achieved["nodes"] == 2


@pytest.mark.slow
def test_deaf_nodes_that_accuse_faster_than_rumours_go_round_have_no_healthy_one_ejected(
    tmp_path: Path,
) -> None:
    """A healthy node was, before who hears of its own death said at once that it lives."""
    changes = {
        "cluster.nodes": 100,
        "policy": "none",
        "expect": [],
        "cluster.storage_rate": "1Gbit",
    }
    changes |= {"block_io.request": "128KiB", "block_io.export": "2GiB"}
    result, _ = run(load("crowd-crunch").with_overrides(changes | SIMULATED), tmp_path / "run")
    assert (result.totals.false_ejections, result.totals.healthy_ejections) == (30, 0)
    history = History.read(tmp_path / "run" / "history.jsonl")
    accused = [one for one in history.of(MembershipSuspected) if int(one.peer[1:]) > 30]
    assert len(accused) > 100, "many are taken for dead for a moment"


def test_of_a_deaf_majority_nobody_is_ejected(tmp_path: Path) -> None:
    changes = {"cluster.nodes": 5, "crunch.share": 0.6, "policy": "none", "expect": []}
    result, _ = run(load("crowd-crunch").with_overrides(changes | SIMULATED), tmp_path / "run")
    assert result.totals.nodes_ejected == 0
    assert result.totals.heartbeats_missed > 10


def test_a_crunch_rolls_from_node_to_node_and_leaves_out_who_is_down(tmp_path: Path) -> None:
    crash = {"kind": "node-crash", "target": "n2", "after": "0s", "for": "4s"}
    changes = {"cluster.nodes": 5, "policy": "memalloc", "expect": [], "faults": [crash]}
    wanted = load("rolling-swim").with_overrides(changes | SIMULATED | {"crunch.share": 0.6})
    result, _ = run(wanted, tmp_path / "run")
    begins = History.read(tmp_path / "run" / "history.jsonl").of(CrunchBegan)
    assert [one.target for one in begins] == ["n1", "n3"]
    assert begins[1].t - begins[0].t == pytest.approx(6_000_000_000, abs=20_000_000)
    assert result.crunch_achieved is not None
    assert result.crunch_achieved["nodes"] == 2


def test_a_summary_has_the_figures_of_all_events(tmp_path: Path) -> None:
    made = {
        events: run(scenario(40, "none", events=events), tmp_path / events)[0]
        for events in ("all", "summary")
    }
    assert made["summary"].totals == made["all"].totals
    assert made["summary"].nodes == made["all"].nodes
    assert made["all"].totals.false_ejections == 1
    assert made["all"].totals.heartbeats_missed > 5


def test_a_summary_has_counts_and_differences(tmp_path: Path) -> None:
    """Of 70 nodes it is the default."""
    result, content = run(scenario(70, "none"), tmp_path / "run")
    history = History.read(tmp_path / "run" / "history.jsonl")
    assert history.damage == ()
    assert len(content.splitlines()) < 70 * 100
    for event in history.of(HeartbeatReceived):
        assert isinstance(event.counts, int)
    (target,) = [name for name, one in result.nodes.items() if one.nodes_ejected]
    # A node that boots again adds all others at once.
    views = [one for one in history.of(ViewInstalled) if one.node != target or one.number == 1]
    assert {(one.size, tuple(one.removed), tuple(one.added)) for one in views} == {
        (70, (), ()),
        (69, (target,), ()),
        (70, (), (target,)),
    }
    named = [one for one in history.of(HeartbeatSent) if one.tag is not None]
    assert 0 < len(named) < 300, "those of the node that was short of memory, and those to it"
    for one in named:
        assert target in (one.node, *(one.peers if isinstance(one.peers, list) else [target]))


def test_a_large_run_is_the_same_whatever_the_order_of_sets(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.unit.test_simulation_scale import *; "
        "run(scenario(70, 'none'), Path(sys.argv[1]))"
    )
    histories = set()
    for number in ("1", "2"):
        out = tmp_path / number
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", program, str(out)]
        subprocess.run(argv, check=True, env=environment, cwd=ROOT)
        histories.add((out / "history.jsonl").read_bytes())
    assert len(histories) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"cluster.backend": "namespaces", "cluster.nodes": 33},
            "cluster.nodes: expected at most 32 with backend namespaces (10,000 with simulation), "
            "got 33",
        ),
        ({"cluster.nodes": 10_001}, "cluster.nodes: expected a whole number of nodes"),
        (
            {"cluster.nodes": 65, "detector": {"kind": "fixed"}},
            "detector.kind: expected swim or lifeguard with more than 64 nodes: by fixed each "
            "hears all others, 4,160 heartbeats in 1s, got fixed",
        ),
        (
            {"cluster.backend": "machines", "cluster.nodes": 3, "events": "summary"},
            "events: expected all with backend machines: only simulation has a summary, "
            "got summary",
        ),
    ],
)
def test_what_a_backend_has_no_room_for_is_one_line(
    changes: Mapping[str, object], words: str
) -> None:
    with pytest.raises(BadInput) as told:
        load("thousand-swim").with_overrides({"block_io.export": "2GiB", **changes})
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("nodes", [253, 254, 10_000])
def test_every_host_has_its_addresses(nodes: int) -> None:
    for layout in (star(nodes), split(nodes)):
        links = [link for host in layout.hosts for link in host.links]
        for each in ("ip", "mac"):
            assert len({getattr(link, each) for link in links}) == len(links)
        assert len({host.name for host in layout.hosts}) == nodes + 1
        networks = {
            (link.network, *link.ip.split(".")[: 3 if nodes < 254 else 2]) for link in links
        }
        assert len(networks) == len({link.network for link in links})
