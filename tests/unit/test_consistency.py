"""What a history may not say: what the scenario denies, and times that go back."""

from __future__ import annotations

from typing import Any

import pytest

from crunchbed.checks import consistency
from crunchbed.scenario.loader import load
from tests.unit.recording import MS, Recording


@pytest.mark.parametrize(("since", "wrong"), [(2000, []), (3300, ["n1 go back by 1.400 s"])])
def test_a_journal_that_waited_for_the_next_agent_is_no_time_that_goes_back(
    since: float, wrong: list[str]
) -> None:
    recording = Recording().complete()
    recording.add(2000, "drop", "n1", id="a:7", entry=3)
    recording.add(3500, "agent.restarted", "n1", id="a:8", since=round(since * MS))
    recording.add(2100, "drop", "n1", id="a:9", entry=4)
    found = list(consistency.wrong_times(recording.history()))
    assert [one[-len(words) :] for one, words in zip(found, wrong, strict=True)] == wrong


@pytest.mark.parametrize(
    ("info", "wrong"),
    [
        ({"format": 2, "backend": "ovs-user"}, None),
        (
            {"format": 2, "backend": "linux-bridge"},
            "switch linux-bridge, but the scenario has ovs-user",
        ),
        ({"format": 3, "backend": "machines", "switch": "ovs-user"}, None),
        (
            {"format": 3, "backend": "machines", "switch": "x"},
            "switch x, but the scenario has ovs-user",
        ),
        (
            {"format": 3, "backend": "namespaces", "switch": "ovs-user"},
            "backend namespaces, but the scenario has machines",
        ),
        (
            {"format": 4, "backend": "machines", "switch": "ovs-user"},
            "format 4 of a history whose ",
        ),
    ],
)
def test_another_switch_or_backend_than_the_scenarios_is_told(
    info: dict[str, Any], wrong: str | None
) -> None:
    keys = {"cluster.backend": "machines", "cluster.switch": "ovs-user", "cluster.nodes": 3}
    scenario = load("control").with_overrides(keys)
    recording = Recording().complete().add(1, "run.info", scenario="control", seed=1, **info)
    found = consistency.contradictions(recording.history(), scenario)
    told = [one for one in found if one.startswith("run.info: ")]
    assert [one[: len(wrong) + 10] for one in told] == ([f"run.info: {wrong}"] if wrong else [])
