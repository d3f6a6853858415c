"""Whole runs of the simulation: verdicts as of namespaces, the same history each time, no root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from crunchbed.backends.simulation.backend import SimulationBackend
from crunchbed.backends.simulation.memory import POLL_NS
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.run import engine
from crunchbed.scenario.loader import load, shipped
from reserve_agent.contract.events.pressure import (
    EmergencyChanged,
    PacketDropped,
    PoolSampled,
    PressureBegan,
)
from reserve_agent.contract.events.run import RunInfo
from reserve_agent.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"phases.control": "1s"}
"""What is calm takes as long to compute as what is not."""


def run(
    name: str, policy: str, out: Path, seed: int = 1, changes: Mapping[str, object] = {}
) -> tuple[Result, History]:
    wanted = {"cluster.backend": "simulation", "policy": policy, **SHORT, **changes}
    result = engine.run(load(name).with_overrides(wanted), seed=seed, out=out)
    return result, History.read(out / "history.jsonl")


class Case(NamedTuple):
    """What ``docs/results.md`` and five seeds on namespaces say of a scenario under a policy."""

    scenario: str
    policy: str
    ejected: int
    misses: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.scenario}-{self.policy}"


KNOWN = (
    Case("control", "memalloc", 0, (0, 0)),
    Case("writeback-crunch", "none", 1, (19, 22)),
    Case("writeback-crunch", "memalloc", 0, (0, 0)),
    Case("micro-crunch", "memalloc", 0, (0, 40)),
    Case("short-crunches", "none", 0, (80, 110)),
    Case("short-crunches", "memalloc", 0, (80, 110)),
    Case("long-crunch", "none", 1, (19, 23)),
    Case("long-crunch", "memalloc", 0, (0, 0)),
    Case("link-down", "none", 1, (18, 24)),
    Case("partition", "memalloc", 1, (18, 24)),
    Case("packet-loss", "memalloc", 0, (5, 35)),
    Case("unflagged-heartbeats", "memalloc", 1, (19, 22)),
    Case("unflagged-block-io", "memalloc", 0, (0, 0)),
    Case("unthrottled-socket", "memalloc", 1, (19, 23)),
    Case("unthrottled-socket", "mempool", 0, (0, 0)),
    Case("softnet-throttling", "softnet", 1, (28, 33)),
    Case("softnet-throttling", "memalloc", 0, (0, 0)),
    Case("late-emergency", "memalloc", 0, (0, 0)),
    Case("dose-response", "none", 1, (18, 23)),
    Case("dose-response", "memalloc", 0, (0, 0)),
    Case("flood", "none", 1, (18, 23)),
    Case("flood", "memalloc", 0, (0, 0)),
    Case("cascading-ejection", "none", 3, (114, 134)),
    Case("arp-expiry", "none", 1, (18, 18)),
    Case("arp-expiry", "memalloc", 0, (0, 0)),
    Case("target-failover", "memalloc", 1, (20, 28)),
    Case("failover-in-crunch", "none", 2, (43, 54)),
)


@pytest.mark.parametrize("case", KNOWN, ids=str)
def test_a_scenario_ends_as_on_namespaces(case: Case, tmp_path: Path) -> None:
    result, history = run(case.scenario, case.policy, tmp_path / "out")
    assert (result.verdict, result.reasons) == ("pass", ())
    assert result.totals.nodes_ejected == case.ejected
    least, most = case.misses
    assert least <= result.totals.heartbeats_missed <= most
    assert result.totals.misses_by_cause["unknown"] == 0
    assert result.totals.misses_by_cause["testbed"] == 0
    assert (history.damage, history.audited) == ((), ())


def test_a_cluster_that_is_short_of_memory_everywhere_has_lost_its_quorum(tmp_path: Path) -> None:
    changes: dict[str, object] = {"phases.recovery": "2s"}
    result, _ = run("rolling-crunch", "none", tmp_path / "out", changes=changes)
    assert result.verdict == "pass"
    assert result.totals.nodes_ejected == 0
    quorum_lost = result.totals.quorum_lost_seconds
    assert quorum_lost is not None
    assert quorum_lost > 5


def test_figures_of_the_closed_loop_are_those_of_namespaces(tmp_path: Path) -> None:
    """Medians and ranges of five seeds on namespaces stand in ``docs/results.md``."""
    pressure, stall, low = crunched("none", tmp_path)
    assert pressure == pytest.approx(0.53, abs=0.05)
    assert stall == pytest.approx(0.45, abs=0.06)
    assert 112 <= low <= 128
    pressure, stall, low = crunched("memalloc", tmp_path)
    assert pressure == pytest.approx(3.6, abs=0.1)
    assert stall < 0.2
    assert 180 <= low <= 214


def crunched(policy: str, out: Path) -> tuple[float, float, int]:
    """Seconds of pressure and of the longest stall, and the fewest free pages, of n1.

    After 1 s, as after one of twenty-five other times, the burst falls upon a tick of the initiator
    and comes in two parts: then the queue is filled from free memory.
    """
    changes = {"phases.control": "2s"}
    n1 = run("writeback-crunch", policy, out / policy, changes=changes)[0].nodes["n1"]
    assert n1.pressure_seconds is not None
    assert n1.io_longest_stall_seconds is not None
    assert n1.reserve_low_water_pages is not None
    return n1.pressure_seconds, n1.io_longest_stall_seconds, n1.reserve_low_water_pages


def test_packets_for_a_node_that_is_down_come_to_the_others(tmp_path: Path) -> None:
    """The switch has forgotten where the node is, and the flood throttles the next queue."""
    _, history = run("softnet-throttling", "softnet", tmp_path / "out")
    throttled = {drop.node for drop in history.of(PacketDropped)}
    assert throttled == {"n1", "n2", "n3"}


@pytest.mark.parametrize(
    ("card", "flags", "misses", "ejected", "ends"),
    [
        ("e1000", [], (26, 43), 1, False),
        ("vmxnet3", [], (60, 80), 0, False),
        ("e1000", ["block-io"], (5, 80), 0, True),
    ],
)
def test_a_node_is_deaf_or_mute_by_its_card_and_its_writes_end_if_they_may(
    card: str,
    flags: list[str],
    misses: tuple[int, int],
    ejected: int,
    ends: bool,
    tmp_path: Path,
) -> None:
    """As on machines, but for what ``docs/simulation.md`` says."""
    changes: dict[str, object] = {
        "memory.kernel": "linux-6.1",
        "memory.nic": card,
        "memalloc": flags,
        "expect": [],
        "phases.inject": "4s",
        "phases.recovery": "1s",
    }
    policy = "memalloc" if flags else "none"
    result, _ = run("kernel-writeback", policy, tmp_path / "out", changes=changes)
    least, most = misses
    assert least <= result.nodes["n1"].heartbeats_missed <= most
    assert result.totals.false_ejections == ejected
    assert result.nic == card
    stall = result.nodes["n1"].io_longest_stall_seconds
    assert stall is not None
    assert (stall < 0.5) == ends
    assert result.crunch_achieved is not None
    assert (result.crunch_achieved["pages"] == 4000) == ends


def test_agents_look_at_their_nodes_out_of_step(tmp_path: Path) -> None:
    """Or an emergency flag would be raised as late in every run."""

    def steps(seed: int) -> list[int]:
        _, history = run("control", "none", tmp_path / str(seed), seed)
        samples = [history.of(PoolSampled, name) for name in ("n1", "n2", "n3")]
        return [each[2].t % POLL_NS for each in samples]

    first, second = steps(1), steps(2)
    assert len({*first, *second}) == 6


def test_traffic_takes_the_last_pages_where_it_comes_before_the_flag(tmp_path: Path) -> None:
    """Also where the window fills its period, and so begins at the same moment for every seed."""
    changes = {"crunch.depth": 0.97, "memory.reserve": 64, "phases.recovery": "1s", "expect": []}
    ejected = []
    for seed in (4, 5, 1, 7):
        result, history = run("dose-response", "critical", tmp_path / str(seed), seed, changes)
        began, raised = history.of(PressureBegan)[0], history.of(EmergencyChanged)[0]
        held = next(one.rx_stalled for one in history.of(PoolSampled, "n1") if one.t > raised.t)
        assert 0 <= raised.t - began.t <= POLL_NS
        assert result.totals.false_ejections == (held > 0)
        ejected.append(result.totals.false_ejections)
    assert ejected == [0, 0, 1, 1]


# --- the same each time

SIMULATED = ("--backend", "simulation", "--quiet", "--set", "phases.control=1s")


def history_of(name: str, out: Path, hash_seed: str, *words: str) -> bytes:
    words = ("run", name, *SIMULATED, *words, "--out", str(out))
    command = [sys.executable, "-m", "crunchbed", *words]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return (out / "history.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["writeback-crunch", "packet-loss"])
def test_a_seed_makes_the_same_history_to_the_byte_in_every_process(
    name: str, tmp_path: Path
) -> None:
    words = ("--policy", "none")
    one = history_of(name, tmp_path / "one", "1", *words)
    assert one == history_of(name, tmp_path / "other", "2", *words)
    assert one != history_of(name, tmp_path / "next", "1", *words, "--seed", "2")
    assert str(tmp_path).encode() not in one


def test_a_history_says_nothing_of_this_machine_and_its_calendar(tmp_path: Path) -> None:
    _, history = run("control", "memalloc", tmp_path / "out")
    (info,) = history.of(RunInfo)
    assert (info.clock, info.processors) == (None, None)
    assert list(info.versions or {}) == ["crunchbed"]
    assert (info.scenario, info.seed, info.backend) == ("control", 1, "simulation")


# --- for anybody

WITHOUT = """
import sys
for name in {absent}:
    sys.modules[name] = None
from crunchbed.cli.app import main
sys.exit(main(sys.argv[1:]))
"""
ABSENT = (
    *("fcntl", "ctypes", "_ctypes", "resource", "grp", "pwd", "termios", "tty", "pty"),
    *("mininet", "pyroute2", "nbd", "os_ken", "prometheus_client"),
)
"""What only Linux or Debian has, or root alone can use."""
NOBODY = 65534


def test_a_whole_comparison_needs_neither_root_nor_linux(tmp_path: Path) -> None:
    folder = tmp_path / "any"
    folder.mkdir(mode=0o777)
    compare = ("compare", "writeback-crunch", "--backend", "simulation", "--set")
    words = [*compare, "phases.control=1s", "--quiet", "--out", str(folder / "out")]
    readable = os.access(ROOT, os.R_OK) and os.geteuid() == 0 and everybody_reaches(folder)
    if readable:
        folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=ABSENT), *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(folder)},
        user=NOBODY if readable else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "none.nodes_ejected = 1" in done.stdout
    assert "memalloc.nodes_ejected = 0" in done.stdout


def everybody_reaches(place: Path) -> bool:
    """Whether any user may enter a folder and the sources."""
    above = [*place.parents, ROOT, *ROOT.parents]
    return all(one.stat().st_mode & 0o001 for one in above)


# --- what it does not do


def test_what_is_not_simulated_is_refused_with_its_reason_before_anything_starts(
    tmp_path: Path,
) -> None:
    changes = {
        "cluster.backend": "simulation",
        "cluster.topology": "redundant",
        "membership": "corosync",
        "faults": [{"kind": "agent-crash"}],
    }
    with pytest.raises(BadInput) as refused:
        engine.run(load("control").with_overrides(changes), out=tmp_path / "out")
    assert str(refused.value) == (
        "backend simulation: cluster.topology: expected star or split, got redundant; "
        "membership: expected crunchbed, got corosync; "
        "faults: no agent-crash: there is no agent whose place another could take"
    )
    assert not (tmp_path / "out").exists()


def test_every_shipped_scenario_is_simulated_or_refused() -> None:
    backend = SimulationBackend()
    for name in shipped():
        simulated = {"cluster.backend": "simulation"}
        if any("memalloc_failures" in text for text in load(name).expect):
            with pytest.raises(BadInput, match="memalloc_failures, which needs"):
                load(name).with_overrides(simulated)
            continue
        scenario = load(name).with_overrides(simulated)
        assert all(backend.refuses(scenario, hold=False)), name
        assert backend.requirements(scenario) == ()
