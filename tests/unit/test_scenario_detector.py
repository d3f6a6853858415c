"""``detector:`` of a scenario: what is refused, and what is made of the rest."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from crunchbed.backends.common import configs as common
from crunchbed.cli import app
from crunchbed.report.scale import time_scale
from crunchbed.scenario import detector, yaml
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from nodes.heartbeat.config import HeartbeatConfig
from nodes.membership.detectors.make import make_detector
from nodes.membership.detectors.settings import (
    KINDS,
    FixedSettings,
    LifeguardSettings,
    PhiSettings,
    Settings,
    SwimSettings,
    from_record,
    to_record,
)
from reserve_agent.config_files import read_config
from reserve_agent.errors import BadInput
from topologies.node import ClusterNode, NodeLink

MS = 1_000_000


def settings(of: Scenario) -> Settings:
    return detector.settings(of.detector, of.heartbeat.interval)


def scenario(text: str = "", more: str = "") -> Scenario:
    base = load("control")
    return base.with_overrides({"detector": text} if text else {}).with_overrides(
        {"heartbeat": more} if more else {}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{kind: gossip}",
            "detector.kind: expected one of fixed, phi, swim, lifeguard, got 'gossip'",
        ),
        ("{kind: swimm}", "detector.kind: expected one of fixed, phi, swim, lifeguard (did you me"),
        ("{threshold: 8}", "detector: expected a mapping with kind: fixed or phi or swim or life"),
        ("phi", "detector: expected a mapping with kind: fixed or phi or swim or lifeguard, got"),
        ("{kind: phi, threshold: 0}", "detector.threshold: expected a number above 0, at most 300"),
        ("{kind: phi, threshold: -1}", "detector.threshold: expected a number above 0, at most 3"),
        (
            "{kind: phi, deadtime: 1s}",
            "detector.deadtime: expected one of the keys kind, heartbeat_interval, threshold, max",
        ),
        ("{kind: fixed, threshold: 8}", "detector.threshold: expected one of the keys kind, keep"),
        ("{kind: swim, probe_timeout: 9ms}", "detector.probe_timeout: expected one of the keys"),
        (
            "{kind: swim, ping_timeout: 100ms}",
            "detector.ping_timeout: expected less than protocol_period (100ms), got 100ms",
        ),
        (
            "{kind: lifeguard, probe_timeout: 1s}",
            "detector.probe_timeout: expected less than probe_interval (100ms), got 1s",
        ),
        (
            "{kind: swim, protocol_period: 2s}",
            "detector.protocol_period: expected heartbeat.interval (100ms), which it is another",
        ),
        ("{kind: fixed, deadtime: 150ms}", "detector.deadtime: expected at least two intervals"),
        (
            "{kind: fixed, deadtime: 1s, warntime: 1s}",
            "detector.warntime: expected less than detector.deadtime (1s), got 1s",
        ),
        ("{kind: fixed, deadtime: 9s}", "detector: expected a deadline within phases.control (4s)"),
        ("{kind: swim, suspicion_mult: 0}", "detector.suspicion_mult: expected a whole number fr"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nclaim: it holds\ndetector: {text}\n")
    assert app.main(["run", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"mine.yaml:3: {message}" in err
    with pytest.raises(BadInput, match="override detector"):
        scenario(text)


def test_left_out_it_is_fixed_by_misses() -> None:
    one = scenario()
    assert settings(one) == FixedSettings()
    assert one.deadline_ns == 500 * MS
    assert one.resolved()["detector"] == {"kind": "fixed"}


def test_defaults_are_the_published_ones_scaled_by_the_interval() -> None:
    assert settings(scenario("{kind: phi}", "{interval: 50ms}")) == PhiSettings(
        threshold=8.0,
        max_sample_size=1000,
        min_std_deviation_ns=5 * MS,
        acceptable_heartbeat_pause_ns=150 * MS,
        first_heartbeat_estimate_ns=50 * MS,
    )
    swim = settings(scenario("{kind: swim}", "{interval: 200ms}"))
    assert swim == SwimSettings(protocol_period_ns=200 * MS, ping_timeout_ns=50 * MS)
    lifeguard = settings(scenario("{kind: lifeguard}"))
    assert isinstance(lifeguard, LifeguardSettings)
    assert (lifeguard.probe_timeout_ns, lifeguard.gossip_interval_ns) == (50 * MS, 20 * MS)


def test_what_is_given_counts_and_the_rest_is_scaled() -> None:
    one = settings(scenario("{kind: lifeguard, probe_timeout: 20ms, indirect_checks: 1}"))
    assert isinstance(one, LifeguardSettings)
    assert (one.probe_timeout_ns, one.indirect_checks) == (20 * MS, 1)
    assert one.gossip_interval_ns == 20 * MS
    fixed = settings(scenario("{kind: fixed, deadtime: 900ms}"))
    assert fixed == FixedSettings(deadtime_ns=900 * MS, warntime_ns=300 * MS)
    assert settings(scenario("{kind: swim, protocol_period: 100ms}")) == settings(
        scenario("{kind: swim}")
    )


@pytest.mark.parametrize(
    ("text", "deadline_ms"),
    [
        ("{kind: fixed, deadtime: 700ms}", 700),
        ("{kind: phi}", 452),
        ("{kind: swim}", 100 + 600),
        ("{kind: lifeguard}", 100 + 400),
    ],
)
def test_the_deadline_is_the_detectors(text: str, deadline_ms: int) -> None:
    assert scenario(text).deadline_ns // MS == deadline_ms


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_keeps_it_and_another_kind_can_be_set(kind: str, tmp_path: Path) -> None:
    one = scenario(f"{{kind: {kind}}}")
    (tmp_path / f"{one.name}.yaml").write_text(yaml.text_of(one.resolved()))
    assert load_file(tmp_path / f"{one.name}.yaml") == one
    for other in KINDS:
        assert one.with_overrides({"detector.kind": other}).detector.kind == other


@pytest.mark.parametrize("kind", KINDS)
def test_the_daemon_gets_the_very_settings(kind: str, tmp_path: Path) -> None:
    one = scenario(f"{{kind: {kind}}}")
    nodes = {
        name: ClusterNode(name, name, 1, (NodeLink("eth0", "p", "10.77.0.1"),))
        for name in one.node_names
    }
    record = common.heartbeat(one, nodes, "n1", 0) | {"events": "e", "fence": "f"}
    path = tmp_path / "heartbeat.json"
    path.write_bytes(orjson.dumps(record))
    config = read_config(path, HeartbeatConfig)
    assert config.detector == settings(one)
    assert from_record(to_record(config.detector)) == config.detector
    make_detector(
        config.detector,
        "n1",
        interval_ns=1000,
        misses=3,
        grace_ns=0,
        chance=None,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "detector", [{"kind": "gossip"}, {"kind": "fixed", "treshold": 1}, {}, "swim"]
)
def test_a_daemon_refuses_a_detector_that_it_does_not_know(
    detector: object, tmp_path: Path
) -> None:
    path = tmp_path / "heartbeat.json"
    record = {"peers": {}, "interval_ns": 1000, "misses": 1, "detector": detector}
    path.write_bytes(orjson.dumps(record))
    with pytest.raises(BadInput, match=r"heartbeat\.json"):
        read_config(path, HeartbeatConfig)


def test_an_answer_to_a_probe_is_late_sooner_than_a_heartbeat() -> None:
    common = {"node": "n1", "index": 0, "addresses": (), "peers": {}, "events": "", "fence": ""}
    fixed = HeartbeatConfig(**common, interval_ns=1000, misses=3)  # type: ignore[arg-type]
    probing = SwimSettings.preset(1000)
    swim = HeartbeatConfig(**common, interval_ns=1000, misses=3, detector=probing)  # type: ignore[arg-type]
    assert (fixed.lateness_ns, swim.lateness_ns) == (500, 125)


def test_reports_say_the_scale_of_the_defaults() -> None:
    line = time_scale(scenario("{kind: swim}"), 0)
    assert line.endswith("detector swim: protocol_period is 2 s / 20")
