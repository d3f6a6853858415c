"""A kernel of the user's own: here the unpacked package stands for it."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from crunchbed.backends.machines import images
from crunchbed.backends.machines.images import Image
from crunchbed.backends.machines.own import OwnKernel, prepare
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from nodes.waiting import wait_until
from reserve_agent.contract.events.guests import GuestCounted, GuestReady
from reserve_agent.errors import MissingRequirement
from reserve_agent.metrics import NODE_METRICS
from tests.system.command import Command

pytestmark = pytest.mark.root

SHORT = (
    *("--backend", "machines", "--set", "cluster.nodes=2", "--set", "cluster.switch=linux-bridge"),
    *("--set", "phases.control=4s", "--set", "phases.inject=1s", "--set", "traffic.rate=0"),
)
INTERVAL_NS = 100_000_000
WHEN_IT_HAPPENS = {"nodes_ejected", "heartbeats_missed", "block_io_errors"}
"""Metrics whose series begin with an event that a quiet run does not have."""


def unpacked(image: Image) -> OwnKernel:
    """Return the parts of a kernel as a build leaves them."""
    modules = image.directory / "root" / "lib" / "modules" / image.release
    return OwnKernel(image.kernel, modules, image.directory / "headers")


@pytest.fixture
def own(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnKernel:
    """A kernel of which nothing is built yet."""
    found = unpacked(image)
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path / "machines"))
    return found


def scraped(out: Path) -> dict[str, float]:
    """Return a scrape of n1's attendant: the sum over the series of each sample."""
    part = out / "history" / "n1.jsonl"

    def port() -> int:
        lines = part.read_text().splitlines()[:-1] if part.exists() else []
        found = [orjson.loads(line) for line in lines if '"pool.config"' in line]
        return int(found[0]["metrics_port"]) if found else 0

    wait_until(lambda: port() > 0, 90, "the guest is up")
    sums: dict[str, float] = {}

    def heard() -> bool:
        sums.clear()
        with urllib.request.urlopen(f"http://127.0.0.1:{port()}/metrics", timeout=5) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for sample in family.samples:
                    sums[sample.name] = sums.get(sample.name, 0) + sample.value
        return sums.get("crunchbed_heartbeats_received_total", 0) > 0

    wait_until(heard, 30, "heartbeats were counted", 0.2)
    return sums


def test_it_is_built_once_boots_and_is_named(own: OwnKernel, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ("--kernel", own.image, "--modules", own.modules, "--headers", str(own.headers))
    command = Command("run", "control", *SHORT, *given, "--out", out)
    figures = scraped(out)
    command.end()
    result = Result.read(out / "result.json")
    assert (result.verdict, result.reasons) == ("pass", ()), command.errors
    assert any("building the module" in line for line in command.errors)
    release = own.modules.name
    history = History.read(out / "history.jsonl")
    assert {event.kernel for event in history.of(GuestReady)} == {release}
    assert (result.kernel, result.nic) == (release, "e1000")
    name = orjson.loads((out / "scenario.json").read_bytes())["memory"]["kernel"]
    assert name.startswith(f"own-{release}-")
    page = (out / "report.html").read_text()
    assert release in page
    assert name in page
    said: list[str] = []
    assert prepare(own, said.append) == name
    assert said == [], "the guest is there"
    _metrics_are_filled(figures)
    added = [event.channel_ns for event in history.of(GuestCounted) if event.channel_ns]
    assert sorted(added)[len(added) // 2] < INTERVAL_NS / 10


def _metrics_are_filled(figures: dict[str, float]) -> None:
    names = {name.removesuffix("_count") for name in figures}
    expected = {one.full_name for one in NODE_METRICS if one.name not in WHEN_IT_HAPPENS}
    assert expected <= names
    for name in (
        *("heartbeats_sent_total", "membership_size", "pages_free", "pages_reserved"),
        *("pages_low_water", "packets_total", "block_io_seconds_count"),
    ):
        assert figures[f"crunchbed_{name}"] > 0, name


def test_what_does_not_build_says_where_the_compilers_words_are(
    own: OwnKernel, tmp_path: Path
) -> None:
    headers = tmp_path / "headers"
    (headers / "include" / "generated").mkdir(parents=True)
    (headers / "Module.symvers").touch()
    release = f'#define UTS_RELEASE "{own.modules.name}"\n'
    (headers / "include" / "generated" / "utsrelease.h").write_text(release)
    (headers / "include" / "generated" / "autoconf.h").touch()
    (headers / "Makefile").write_text("modules:\n\t@echo no compiler likes this; false\n")
    log = tmp_path / "machines" / "log"
    with pytest.raises(
        MissingRequirement, match=r"^--kernel: failed: make .*\(all output: "
    ) as told:
        prepare(OwnKernel(own.image, own.modules, headers), lambda _: None)
    assert str(told.value).endswith(f"(all output: {log})")
    assert "no compiler likes this" in log.read_text()
    assert images.names() == []
