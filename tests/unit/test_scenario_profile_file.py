"""``memory.kernel: FILE``: a run goes by that profile, and needs the file no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crunchbed.archive.rejudge import rejudge
from crunchbed.backends import backend_of
from crunchbed.cli import app
from crunchbed.experiments.sweep.space import trials_of
from crunchbed.run import engine
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.profiles import profile_for
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput
from reserve_agent.model.profiles import CARDS, LINUX_6_1
from reserve_agent.model.profiles.record import Profile, constants, record_of

SHIPPED = Profile(LINUX_6_1, CARDS["e1000"])
SCENARIO = """
name: mine
claim: It holds by my kernel.
cluster: {backend: simulation}
memory: {KEYS}
memalloc: [block-io]
traffic: {rate: 0}
crunch: {kind: timed, count: 1, length: 1500ms, every: 2s, depth: 0.55, target: n1}
phases: {control: 1s, inject: 4s, recovery: 5s}
"""


def record(card: str = "e1000", **changes: object) -> dict[str, Any]:
    """The content of a file of linux-6.1, with values of its kernel's constants changed."""
    made = record_of(Profile(LINUX_6_1, CARDS[card]))
    for key, value in changes.items():
        made["kernel"]["constants"][key.replace("__", ".")]["value"] = value
    return made


def written(folder: Path, profile: object | None, keys: str = "kernel: profiles/k.json") -> Path:
    """A scenario in ``folder`` and, below it, the profile that it names."""
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    if profile is not None:
        text = profile if isinstance(profile, str) else json.dumps(profile)
        (folder / "profiles" / "k.json").write_text(text)
    path = folder / "mine.yaml"
    path.write_text(SCENARIO.replace("KEYS", keys))
    return path


def run(path: Path, out: Path) -> tuple[int, bytes]:
    """Heartbeats that a simulated run missed, and its history."""
    result = engine.run(load_file(path), seed=3, out=out)
    return result.totals.heartbeats_missed, (out / "history.jsonl").read_bytes()


def test_a_resolved_scenario_has_the_profile_and_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, record("vmxnet3", floors__atomic="1/2"))
    monkeypatch.chdir("/")  # a path in a scenario is one from the scenario's folder
    scenario = load_file(path)
    (tmp_path / "profiles" / "k.json").unlink()
    for one in (scenario, Scenario.of(json.loads(json.dumps(scenario.resolved())), "")):
        assert one == scenario
        profile = profile_for(one.memory)
        assert profile is not None and profile.card is not None
        assert str(profile.kernel.floors.atomic) == "Ratio(numerator=1, denominator=2)"
        assert (one.nic, one.modelled) == ("vmxnet3", "profile linux-6.1")
        assert one.with_overrides({"policy": "none"}).memory == scenario.memory
        assert backend_of(one).refuses(one, hold=False) == []


def test_a_changed_constant_changes_a_run_and_the_shipped_ones_written_down_do_not(
    tmp_path: Path,
) -> None:
    """45 % of R is left: above the floor of GFP_ATOMIC, which the changed profile has at 1/2."""
    missed, named = run(written(tmp_path, None, "kernel: 6.1, nic: e1000"), tmp_path / "named")
    assert missed == 0
    assert run(written(tmp_path, record()), tmp_path / "same") == (0, named)
    missed, _ = run(written(tmp_path, record(floors__atomic="1/2")), tmp_path / "other")
    assert missed > 5
    (tmp_path / "profiles" / "k.json").unlink()
    scenario, again = rejudge(tmp_path / "other")
    assert again.totals.heartbeats_missed == missed
    assert scenario.memory.kernel_name == "linux-6.1"


WRONG = {
    "{": "profiles/k.json: line 1: expected JSON: ",
    json.dumps(record(floors__atomic="3:8")): (
        "profiles/k.json: kernel.constants.floors.atomic.value: expected a share of at most 1"
    ),
    json.dumps(record() | {"karnel": {}}): (
        "profiles/k.json: karnel: expected one of format, kernel, card, also_measured"
    ),
    json.dumps({key: value for key, value in record().items() if key != "card"}): (
        "profiles/k.json: card: expected an object, got None"
    ),
}


@pytest.mark.parametrize("content", WRONG, ids=[text[:40] for text in WRONG.values()])
def test_a_wrong_file_is_one_line_and_exit_code_2(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, content)
    assert app.main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"crunchbed: {path}:5: memory.kernel: {tmp_path}/")
    assert WRONG[content] in said
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_and_a_card_that_is_not_the_file_s(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"profiles/k\.json: No such file"):
        load_file(written(tmp_path / "a", None))
    path = written(tmp_path / "b", record("vmxnet3"), "kernel: profiles/k.json, nic: e1000")
    with pytest.raises(BadInput, match=r"memory\.nic: expected vmxnet3, the card of the profile"):
        load_file(path)


@pytest.mark.parametrize(
    "override",
    [
        {"memory.kernel": "profiles/k.json"},
        {"memory.kernel": "'profiles/k.json'"},
        {"memory": "{kernel: profiles/k.json}"},
        {"memory": {"kernel": "profiles/k.json"}},
    ],
    ids=str,
)
def test_whatever_sets_the_key_has_the_file_read_from_the_working_directory(
    override: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, record("8139cp"))
    monkeypatch.chdir(tmp_path)
    changed = load("control").with_overrides(override)
    assert changed.resolved()["memory"]["kernel"] == record("8139cp")
    assert changed.nic == "8139cp"


@pytest.mark.parametrize(
    "override", ["memory.kernel=nowhere.json", "memory={kernel: nowhere.json}"]
)
@pytest.mark.parametrize(
    "command",
    [
        ("run", "control"),
        ("reserve", "size", "control"),
        ("agree", "control"),
        ("sweep", "control", "--vary", "policy=none"),
    ],
    ids=" ".join,
)
def test_a_file_that_is_not_there_is_one_line_of_every_command(
    command: tuple[str, ...], override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main([*command, "--set", override]) == 2
    said = capsys.readouterr().err
    assert said == "crunchbed: override memory.kernel: nowhere.json: No such file or directory\n"


def test_a_sweep_reads_the_files_that_it_varies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, record("8139cp"))
    monkeypatch.chdir(tmp_path)
    points = [{"memory.kernel": str(tmp_path / "profiles" / "k.json")}, {"memory.kernel": "6.12"}]
    one, other = trials_of(load("control"), points, [1])
    assert one.scenario["memory"]["kernel"] == record("8139cp")
    assert other.scenario["memory"]["kernel"] == "6.12"


def test_machines_boot_the_kernel_that_a_profile_is_of(tmp_path: Path) -> None:
    content = record()
    machines = {"cluster.backend": "machines"}
    with_profile = load_file(written(tmp_path, content)).with_overrides(machines)
    assert backend_of(with_profile).refuses(with_profile, hold=False) == [
        "memory.kernel: expected a kernel that boots: this is a profile, got linux-6.1"
    ]
    content["kernel"]["name"] = "6.12"
    booted = load_file(written(tmp_path, content)).with_overrides(machines)
    assert backend_of(booted).refuses(booted, hold=False) == []
    assert booted.memory.kernel_name == "6.12"


def test_every_constant_survives() -> None:
    scenario = load("control").with_overrides({"memory.kernel": record()})
    assert isinstance(scenario.memory.kernel, Profile)
    assert constants(scenario.memory.kernel) == constants(SHIPPED)
