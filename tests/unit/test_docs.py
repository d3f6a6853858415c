"""docs/metrics.md says what the exporter exports; links and commands in the documents exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from crunchbed.cli import app
from crunchbed.host.survey.survey import survey
from crunchbed.report import host_audit
from crunchbed.risk.findings import findings_of
from crunchbed.risk.need import need_of
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
)
from reserve_agent.contract.events.membership import NodeEjected, ViewInstalled
from reserve_agent.contract.events.pressure import HookEventsLost, PoolConfigured, PressureEnded
from reserve_agent.contract.events.switches import ShedApplied
from reserve_agent.contract.events.writes import WriteAcknowledged, WriteFailed
from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.exporter import Exporter
from reserve_agent.hooks.layout import POOL_FIELDS
from reserve_agent.metrics import METRICS as DEFINED
from reserve_agent.switch_exporter import SwitchExporter
from tests.unit.prometheus_registry import registry_of

ROOT = Path(__file__).parents[2]
METRICS = (ROOT / "docs" / "metrics.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
NAMING = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]
"""Documents that speak of today's tree only."""
TARGETS = set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text()))
PROOF = re.compile(r"\bmake prove WHAT=(\w+)")
PARTS = ("crunchbed", "topologies", "nodes", "reserve_agent", "dashboards", "scripts", "tests")
_TOP = "|".join((*PARTS, "bench", "docs", "scenarios"))
PATH = re.compile(rf"(?<![\w./<>-])((?:{_TOP})/[\w.*/-]*)")
SOURCE = re.compile(r"`([\w-]+(?:\.bpf)?\.(?:py|sh|c|h))`")
MODULE = re.compile(rf"(?<![\w./<>-])((?:{_TOP})(?:\.[a-z_]\w*)+)\b(?!/)")

# One event of every kind that changes a metric, so that each has a series with its labels.
EVENTS: list[Event] = [
    PoolConfigured(total=0, reserve=0, clean=0, computed=0, policy="none", metrics_port=0),
    HeartbeatSent(t=1, peers=["n2"]),
    HeartbeatReceived(t=1, counts={"n2": 1}, malformed=0, late=0),
    HeartbeatMissed(t=1, peer="n2", deadline=1),
    HeartbeatLate(t=1, late_ns=1),
    NodeEjected(t=1, reason="heartbeats_missed", false=True),
    ViewInstalled(t=1, number=1, members=["n1"]),
    PressureEnded(t=1, since=0, duration_ns=1),
    WriteAcknowledged(t=5, submitted=1, transport="nbd"),
    WriteFailed(t=1, transport="nbd"),
    HookEventsLost(t=1, count=1),
]
SHED = ShedApplied(target="n1", on=True, pressure_at=0, in_force_at=2_000_000)
SUFFIX = {"counter": "_total", "info": "_info"}


def registry() -> CollectorRegistry:
    """Return a fresh registry: a node to which everything has happened, its switch, a machine."""
    packets = {(Hook.RECEIVE, PacketClass.OTHER, Reason.GRANTED): (3, 3)}

    def read_pool(name: str) -> int:
        assert name in POOL_FIELDS
        return 1

    exporter = Exporter("n1", "abcd", "control", lambda: packets, read_pool)
    for event in EVENTS:
        exporter.observe(event)
    counts = {"table": [["n1", "other", 7, 700]], "dropped": [["n1", "other", 2, 200]]}
    switches = SwitchExporter(lambda: counts)
    switches.observe(SHED)
    machine = survey(ROOT / "tests/unit/data/hosts/guest-nbd-swap")
    host = host_audit.metrics(machine, need_of(machine), findings_of(machine))
    return registry_of(exporter, switches, host)


def labels(family: Metric) -> set[str]:
    """Return the label names of a family's series."""
    names = {name for sample in family.samples for name in sample.labels} - {"le"}
    assert names, f"{family.name} has no series: add an event of its kind to EVENTS"
    return names


def exported() -> dict[str, tuple[str, set[str]]]:
    """Return type and labels of every metric by its full name."""
    return {
        family.name + SUFFIX.get(family.type, ""): (family.type, labels(family))
        for family in registry().collect()
    }


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the same as the tables say it; a unit and a meaning must be there too."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in METRICS.splitlines()
        if line.startswith("| `crunchbed_")
    ]
    assert all(len(row) == 5 and all(row) for row in rows)
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0].strip("`"): (row[1], set(re.findall(r"`(\w+)`", row[2]))) for row in rows}


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    assert documented() == exported()


def test_every_reason_is_documented_with_its_verdict() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (pass|drop) \|", METRICS, re.MULTILINE))
    assert table == {one.name.lower(): "pass" if one.passed else "drop" for one in Reason}


def test_label_values_and_buckets_are_documented() -> None:
    values = [*(one.name.lower() for one in Hook), *(one.label for one in PacketClass)]
    for value in values:
        assert f"`{value}`" in METRICS


def test_buckets_are_documented() -> None:
    """The row of every histogram says where its buckets begin and end."""
    for name, definition in DEFINED.items():
        if definition.kind == "histogram":
            first, last = definition.buckets[0], definition.buckets[-1]
            written = f"{first * 1e6:g} microseconds" if first < 1e-3 else f"{first * 1e3:g} ms"
            row = next(line for line in METRICS.splitlines() if line.startswith(f"| `{name}` "))
            assert f"Buckets from {written} to {last:g} s" in row, name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_all_metrics() -> None:
    text = generate_latest(registry())
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_every_page_is_in_the_readmes_table(page: Path) -> None:
    row = f"| [docs/{page.name}](docs/{page.name}) | "
    assert row in (ROOT / "README.md").read_text()


def shown_commands(document: Path) -> list[list[str]]:
    """Return the words of every command of ours in the document's code blocks."""
    blocks = re.findall(r"(?ms)^```\n(.*?)^```", document.read_text())
    lines = [line.removeprefix("$ ").split("#")[0] for text in blocks for line in text.split("\n")]
    return [words for line in lines if (words := line.removeprefix(".venv/bin/").split())]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_shown_exist(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in shown_commands(document):
        if words[0] == "make":
            goals, settings = make_arguments(words)
            assert goals <= TARGETS, words
            assert ("prove" in goals) == ("WHAT" in settings), words
        if words[0] == "crunchbed":
            assert app.main([words[1], "--help"]) == 0, words
            known = capsys.readouterr().out
            for option in (word for word in words if word.startswith("--")):
                assert f"{option} " in known, words


def make_arguments(words: list[str]) -> tuple[set[str], dict[str, str]]:
    """Return the targets of a shown call of make, and its variables."""
    arguments = shlex.split(" ".join(words[1:]))
    settings = dict(one.split("=", 1) for one in arguments if "=" in one)
    return {one for one in arguments if "=" not in one}, settings


def test_every_proof_is_reached_by_make_and_told_in_the_documents() -> None:
    proofs = {path.stem.removeprefix("prove-") for path in (ROOT / "scripts").glob("prove-*.sh")}
    told = {found for text in DOCUMENTS for found in PROOF.findall(text.read_text())}
    assert told == proofs
    assert "prove" in TARGETS
    done = subprocess.run(
        ["make", "--silent", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "make prove " in done.stdout


def named_paths(text: str) -> set[str]:
    """Return the paths of ours in a text; a module's dotted name counts as a path."""
    dotted = (name.replace(".", "/") for name in MODULE.findall(text))
    return {path.rstrip(".") for path in (*PATH.findall(text), *SOURCE.findall(text), *dotted)}


def exists(path: str) -> bool:
    """Whether a path below the root, a file of this name, or a module (or its member) is there."""
    if "/" not in path:
        return any(ROOT.glob(path)) or any(
            any((ROOT / part).rglob(path)) for part in ("bench", *PARTS)
        )
    found = any(ROOT.glob(path.rstrip("/")))
    return found or any((ROOT / f"{name}.py").exists() for name in (path, path.rpartition("/")[0]))


def test_a_path_is_found_however_it_is_named() -> None:
    text = "`nodes/x.py`, (crunchbed/run/), `reserve_agent.agent`, `a.py`; not /run/crunchbed/x."
    assert named_paths(text) == {"nodes/x.py", "crunchbed/run/", "reserve_agent/agent", "a.py"}
    assert exists("reserve_agent/agent")
    assert exists("reserve_agent/hooks/*.bpf.c")
    assert not exists("nodes/x.py")
    assert not exists("nowhere.py")


@pytest.mark.parametrize("document", NAMING, ids=lambda path: path.name)
def test_paths_that_are_named_exist(document: Path) -> None:
    missing = {path for path in named_paths(document.read_text()) if not exists(path)}
    assert missing == set()


def test_every_dependency_is_accounted_for() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    named = {name.strip() for row in rows for name in row.split(",")}
    packages = re.findall(r"(?m)^([a-z0-9-]+)", (ROOT / "packages.txt").read_text())
    product = (ROOT / "requirements.in").read_text().split("# What its checks need.")[0]
    wanted = {*packages, *re.findall(r"(?m)^([a-z0-9.-]+)", product)}
    assert wanted <= named
