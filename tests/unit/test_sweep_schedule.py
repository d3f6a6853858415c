"""Which trials run when, which are made again, and how many at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from distributed import CancelledError

from crunchbed.cli import app
from crunchbed.experiments.sweep import workers
from crunchbed.experiments.sweep.conduct import Conductor
from crunchbed.experiments.sweep.folder import SweepFolder
from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.request import Request
from crunchbed.experiments.sweep.schedule import Scheduler
from crunchbed.experiments.sweep.space import Trial, trials_of
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement, RunInvalid
from tests.unit.judged_runs import good_run, result_of
from tests.unit.sweep_workers import (
    SCENARIO,
    FakeWorkers,
    Notes,
    asked,
    folder,
    four,
    made,
)


def test_each_trial_is_made_once_and_no_more_at_once_than_the_limit(tmp_path: Path) -> None:
    workers, notes, place = FakeWorkers(lambda t, *_: made(t)), Notes(), folder(tmp_path)
    Scheduler(workers, 2, place.store, notes).run(four())
    assert sorted(workers.started) == sorted(trial.name for trial in four())
    assert workers.most == 2
    assert place.missing(four()) == []
    assert notes.notes == []


def disturbed_at_first(names: set[str]) -> Any:
    def answer(trial: Trial, number: int, _beside: int) -> Made:
        first = trial.name in names and number == 1
        return made(trial, invalid="1 heartbeat missed in the control phase" if first else None)

    return answer


def test_where_many_are_disturbed_they_are_made_again_and_fewer_run_at_once(
    tmp_path: Path,
) -> None:
    names = [trial.name for trial in four()]
    workers, notes = FakeWorkers(disturbed_at_first(set(names[:2]))), Notes()
    scheduler = Scheduler(workers, 3, folder(tmp_path).store, notes)
    scheduler.run(four())
    assert scheduler.limit == 2
    assert [workers.started.count(name) for name in names] == [2, 2, 1, 1]
    assert len(notes.done) == 4
    first, second = notes.notes
    assert "from now on" not in first
    assert "from now on 2 at once instead of 3" in second


def test_a_crunch_that_misses_at_every_try_is_no_matter_of_how_many_run_at_once(
    tmp_path: Path,
) -> None:
    never = good_run()
    never.events = [event for event in never.events if not event.kind.startswith("pressure.")]
    (reason,) = result_of(never).reasons
    workers, notes = FakeWorkers(lambda t, *_: made(t, invalid=reason)), Notes()
    scheduler = Scheduler(workers, 3, folder(tmp_path).store, notes)
    scheduler.run(four())
    assert scheduler.limit == 3
    assert all("never came under memory pressure; once more" in note for note in notes.notes)


def test_an_accident_lowers_nothing(tmp_path: Path) -> None:
    many = trials_of(SCENARIO, [{"policy": "none"}], tuple(range(1, 13)))
    accidents = {many[0].name, many[9].name}  # 2 of any 8 at once, 3 at a time, would be many
    workers, notes = FakeWorkers(disturbed_at_first(accidents)), Notes()
    scheduler = Scheduler(workers, 3, folder(tmp_path).store, notes)
    scheduler.run(many)
    assert scheduler.limit == 3
    assert len(notes.notes) == 2
    assert workers.started.count(many[0].name) == 2


def test_one_disturbed_alone_lowers_nothing_and_three_tries_are_all(tmp_path: Path) -> None:
    place = folder(tmp_path)
    workers = FakeWorkers(lambda *_: Made(b"", 3, "nbdkit ended by itself"))
    scheduler = Scheduler(workers, 1, place.store, Notes())
    (trial, *_) = four()
    scheduler.run([trial])
    assert scheduler.limit == 1
    assert len(workers.started) == 3
    result = place.result(trial)
    assert result is not None
    assert (result.verdict, result.reasons) == ("invalid", ("nbdkit ended by itself",))


def test_the_third_try_is_made_alone(tmp_path: Path) -> None:
    seen: list[int] = []

    def answer(trial: Trial, number: int, beside: int) -> Made:
        if number == 3:
            seen.append(beside)
        return made(trial, invalid=None if number == 3 or trial != four()[0] else "disturbed")

    Scheduler(FakeWorkers(answer), 4, folder(tmp_path).store, Notes()).run(four())
    assert seen == [1]


@pytest.mark.parametrize(("code", "error"), [(2, BadInput), (4, MissingRequirement)])
def test_what_no_run_could_do_ends_the_sweep(
    code: int, error: type[CrunchbedError], tmp_path: Path
) -> None:
    workers = FakeWorkers(lambda *_: Made(b"", code, "no Mininet here"))
    with pytest.raises(error, match="no Mininet here"):
        Scheduler(workers, 2, folder(tmp_path).store, Notes()).run(four())


def test_a_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    request = asked(vary=("policy=none,memalloc",))
    place = SweepFolder.make(tmp_path / "s", request.model_dump(mode="json"))
    place.store(four()[1], made(four()[1]).archive)
    workers = FakeWorkers(lambda t, *_: made(t))
    again = SweepFolder.open(tmp_path / "s")
    summary = Conductor(
        Request.of(again.asked, "s"), again, Scheduler(workers, 2, again.store, Notes())
    ).run()
    assert sorted(workers.started) == sorted(four()[i].name for i in (0, 2, 3))
    assert [(one.point["policy"], one.runs) for one in summary.points] == [
        ("none", 2),
        ("memalloc", 2),
    ]
    assert (tmp_path / "s" / "summary.json").exists()


def test_two_at_once_in_one_directory_are_refused(tmp_path: Path) -> None:
    first = folder(tmp_path)
    with (
        first.held(),
        pytest.raises(BadInput, match="another crunchbed sweep is at it"),
        SweepFolder.open(first.path).held(),
    ):
        pass
    with SweepFolder.open(first.path).held():
        pass


def test_another_sweep_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    changed = asked(seeds=(1, 2, 3)).model_dump(mode="json")
    with pytest.raises(BadInput, match=r"holds another sweep \(it differs in seeds\)"):
        SweepFolder.make(tmp_path / "sweep", changed)


def test_a_directory_that_is_no_sweep(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="expected a new or empty directory"):
        SweepFolder.make(tmp_path, asked().model_dump(mode="json"))
    with pytest.raises(BadInput, match="is no sweep"):
        SweepFolder.open(tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(BadInput, match="expected JSON"):
        SweepFolder.open(tmp_path)


def test_a_run_that_left_only_a_reason_is_made_again_by_a_resumed_sweep(tmp_path: Path) -> None:
    place = folder(tmp_path)
    nothing, whole, disturbed, *_ = four()
    workers = FakeWorkers(lambda *_: Made(b"", 3, "its worker failed: KilledWorker"))
    Scheduler(workers, 1, place.store, Notes()).run([nothing])
    place.store(whole, made(whole).archive)
    place.store(disturbed, made(disturbed, invalid="1 heartbeat missed").archive)
    for trial in (whole, disturbed):
        (place.path / "runs" / trial.name / "scenario.json").write_text("{}")
    assert place.missing([nothing, whole, disturbed]) == []
    assert place.forget_unmade() == 1
    assert place.missing([nothing, whole, disturbed]) == [nothing]


def test_a_scheduler_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise CancelledError("scheduler-connection-lost")

    monkeypatch.setattr(workers, "wait", gone)
    with pytest.raises(RunInvalid, match=r"scheduler is gone; .* --resume"):
        workers.Pool.first_done([], 1.0)


@pytest.mark.parametrize("option", ["--seeds", "--vary", "--figures", "--confirm", "--out"])
def test_what_a_resumed_sweep_would_pass_over_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "crunch.pages=1" if option == "--vary" else "1"
    assert app.main(["sweep", "--resume", str(tmp_path), option, value]) == 2
    assert f"--resume: expected no {option}: what was asked for is kept" in capsys.readouterr().err


def test_the_scenario_of_another_version_is_one_line(tmp_path: Path) -> None:
    request = asked(scenario=SCENARIO.resolved() | {"weather": "fine"})
    with pytest.raises(BadInput, match="the sweep's scenario: weather"):
        _ = request.base
