"""How many controls a machine carries side by side, and what workers may answer."""

from __future__ import annotations

import io
import zipfile

import pytest

from crunchbed.cli.sweep import _disturbed
from crunchbed.experiments.sweep import capacity
from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.schedule import result_in
from crunchbed.experiments.sweep.space import Trial
from reserve_agent.errors import CrunchbedError, MissingRequirement
from tests.unit.sweep_workers import (
    SCENARIO,
    FakeWorkers,
    Notes,
    made,
)


def verdict(one: Made) -> str | None:
    result = result_in(one)
    assert result is not None
    return "; ".join(result.reasons) or None


@pytest.mark.parametrize(("carries", "expected"), [(3, 3), (2, 2), (1, 1)])
def test_capacity_is_the_most_that_do_not_disturb_one_another(carries: int, expected: int) -> None:
    groups: list[list[str]] = []

    class Workers(FakeWorkers):
        def submit(self, trial: Trial) -> int:
            if trial.name == "capacity-0":
                groups.append([])
            groups[-1].append(trial.name)
            return super().submit(trial)

    workers = Workers(
        lambda t, *_: made(t, invalid="missed" if len(groups[-1]) > carries else None)
    )
    notes: list[str] = []
    assert capacity.measure(workers, SCENARIO, 3, notes.append, verdict) == expected
    assert "miss" in notes[0]


def test_a_machine_that_lacks_something_is_told_by_the_first_control() -> None:
    workers, notes = FakeWorkers(lambda *_: Made(b"", 4, "no Mininet here")), Notes()
    with pytest.raises(MissingRequirement, match="no Mininet here"):
        capacity.measure(workers, SCENARIO, 3, notes.note, _disturbed)
    assert len(workers.started) == 3


@pytest.mark.parametrize("content", [b"{}", None])
def test_the_result_of_another_version_is_one_line(content: bytes | None) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        if content is not None:
            packed.writestr("result.json", content)
    with pytest.raises(CrunchbedError, match="the same version of crunchbed") as caught:
        result_in(Made(buffer.getvalue(), 0, ""))
    assert "\n" not in str(caught.value)


def test_a_control_has_no_fault_and_sees_two_deadlines() -> None:
    slow = SCENARIO.with_overrides({"heartbeat.interval": "1s", "phases.control": "6s"})
    control = capacity.control_of(slow)
    assert control.crunch is None
    assert control.phases.control >= 2 * slow.removal_ns
