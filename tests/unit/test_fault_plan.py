"""Faults of a scenario: read, refused, drawn from the seed, put in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.faults.stall import STALLED_DAEMONS
from crunchbed.host.requirements import requirement
from crunchbed.run.fault_plan import Step, draw_faults, steps
from crunchbed.run.plan import draw
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

MS = 1_000_000
LIST = "name: x\nclaim: it holds\nfaults:\n  - {kind: link-down, after: 500ms}\n  - "


def faulty(*faults: dict[str, object]) -> Scenario:
    return load("control").with_overrides({"faults": list(faults)})


def test_every_kind_is_read_and_written_as_it_was() -> None:
    scenario = faulty(
        {"kind": "link-down", "target": "storage", "after": "1s", "for": "500ms"},
        {"kind": "partition", "target": ["n1", "n2"]},
        {"kind": "loss", "share": 0.5, "from": "storage"},
        {"kind": "delay", "target": "n3", "delay": "5ms"},
        {"kind": "node-crash"},
        {"kind": "node-crash", "target": "n2", "for": "3s"},
        {"kind": "agent-crash", "target": "n2"},
        {"kind": "target-crash"},
        {"kind": "slow-disk", "wdelay": "200ms"},
        {"kind": "stall", "daemons": "all"},
    )
    assert Scenario.model_validate(scenario.resolved()) == scenario
    assert scenario.resolved()["faults"][0]["for"] == "500ms"
    assert [fault.lasts_ns for fault in scenario.faults][4:6] == [None, 3000 * MS]
    assert scenario.resolved()["faults"][-1]["daemons"] == list(STALLED_DAEMONS)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("{kind: link-dwn}", "faults[1].kind: expected one of link-down, partition, "),
        ("{kind: link-dwn}", "(did you mean link-down?), got 'link-dwn'"),
        ("{target: n1}", "faults[1]: expected a mapping with kind: link-down or partition or "),
        ("5", "faults[1]: expected a mapping with kind: link-down or "),
        ("{kind: stall, daemons: []}", "faults[1].daemons: expected a list of distinct names out"),
        ("{kind: stall, daemons: [sshd]}", "faults[1].daemons: expected a list of distinct names"),
        ("{kind: loss, share: 0}", "faults[1].share: expected a number from 0.001 to 1, got 0"),
        ("{kind: loss, from: n9}", "faults[1].from: expected n1 to n3, or storage, got n9"),
        ("{kind: link-down, fro: 1s}", "faults[1].fro: expected one of the keys "),
        ("{kind: link-down, fro: 1s}", "got an unknown key (did you mean for?)"),
        ("{kind: link-down, for: 9s}", "faults[1].for: expected after + jitter + for within phas"),
        ("{kind: node-crash, after: 9s}", "faults[1].after: expected after + jitter + for within"),
        ("{kind: link-down, target: n9}", "faults[1].target: expected n1 to n3, random or stor"),
        (
            "{kind: burst, target: storage}",
            "faults[1].target: expected a cluster node such as n",
        ),
        ("{kind: partition, target: storage}", "faults[1].target: expected n1 to n3, or random"),
        ("{kind: partition, target: [n1, n2, n3]}", "faults[1].target: expected fewer than all 3"),
        ("{kind: partition, target: [n1, random]}", "faults[1].target: expected a cluster node "),
        ("{kind: slow-disk, target: n1}", "faults[1].target: expected one of storage"),
        ("{kind: node-crash, for: 0s}", "faults[1].for: expected a duration such as"),
    ],
)
def test_a_wrong_fault_is_one_line_with_its_place(fault: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"{LIST}{fault}\n")
    with pytest.raises(BadInput) as caught:
        load_file(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:5: faults[1]")
    assert message in text
    assert "\n" not in text


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(BadInput, match="faults: expected a list of faults"):
        load("control").with_overrides({"faults": "link-down"})


def test_the_seed_draws_targets_and_times_and_nothing_else() -> None:
    scenario = faulty(
        {"kind": "link-down", "target": "random", "after": "1s", "jitter": "500ms"},
        {"kind": "partition", "target": "random"},
    )
    assert draw_faults(scenario, 7) == draw_faults(scenario, 7)
    drawn = [draw_faults(scenario, seed) for seed in range(30)]
    assert {fault.targets for fault, _ in drawn} == {("n1",), ("n2",), ("n3",)}
    assert {fault.targets for _, fault in drawn} == {("n1",), ("n2",), ("n3",)}
    assert len({fault.after for fault, _ in drawn}) > 25
    assert all(1000 * MS <= fault.after <= 1500 * MS for fault, _ in drawn)


def test_faults_do_not_change_the_crunch_of_a_seed() -> None:
    crunched = load("micro-crunch")
    both = crunched.with_overrides({"faults": [{"kind": "link-down", "target": "random"}]})
    assert draw(both, 5) == draw(crunched, 5)


def test_steps_come_by_time_and_one_fault_ends_before_the_next_begins() -> None:
    scenario = faulty(
        {"kind": "link-down", "after": "1s", "for": "1s"},
        {"kind": "stall", "after": "2s", "for": "500ms"},
        {"kind": "node-crash", "target": "n3", "after": "1500ms"},
    )
    assert steps(draw_faults(scenario, 1)) == [
        Step(1000 * MS, True, 0),
        Step(1500 * MS, True, 2),
        Step(2000 * MS, False, 0),
        Step(2000 * MS, True, 1),
        Step(2500 * MS, False, 1),
    ]


def test_at_one_moment_the_undo_comes_first() -> None:
    scenario = faulty(
        {"kind": "stall", "after": "2s", "for": "500ms"},
        {"kind": "stall", "after": "1s", "for": "1s"},
    )
    at_once = [step for step in steps(draw_faults(scenario, 1)) if step.at_ns == 2000 * MS]
    assert at_once == [Step(2000 * MS, False, 1), Step(2000 * MS, True, 0)]


def test_only_delay_needs_something_of_the_machine() -> None:
    assert requirement("netem") in needed_by(faulty({"kind": "delay"}, {"kind": "loss"}))
    assert requirement("netem") not in needed_by(faulty({"kind": "loss"}, {"kind": "stall"}))
