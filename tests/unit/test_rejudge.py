"""Run directories judged again from their histories."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from crunchbed.archive.rejudge import rejudge, rejudge_all
from crunchbed.checks.result import Result
from crunchbed.cli import app
from reserve_agent.errors import BadInput
from tests.unit.judged_runs import ejecting_run, good_run, result_of, scenario
from tests.unit.recording import Recording


def write_run(directory: Path, recording: Recording, policy: str = "memalloc") -> Path:
    """A run directory as the engine leaves it."""
    directory.mkdir(parents=True)
    (directory / "scenario.json").write_bytes(orjson.dumps(scenario(policy).resolved()))
    lines = [orjson.dumps(event.record()) for event in recording.history().events]
    (directory / "history.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (directory / "run.json").write_bytes(orjson.dumps({"run": "ab12", "seed": 1}))
    result_of(recording, policy).write(directory / "result.json")
    (directory / "logs").mkdir()
    (directory / "logs" / "n1-agent.log").write_text("ready\n")
    return directory


def test_the_result_is_computed_from_the_history_alone(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", ejecting_run())
    written = (directory / "result.json").read_bytes()
    (directory / "result.json").write_text("{}")
    found_scenario, result = rejudge(directory)
    assert found_scenario.resolved() == scenario().resolved()
    assert orjson.loads(written) == result.model_dump(mode="json")


def test_the_runs_of_a_comparison_are_judged_without_the_disturbed_ones(tmp_path: Path) -> None:
    write_run(tmp_path / "c" / "none-1", ejecting_run(), "none")
    write_run(tmp_path / "c" / "memalloc-1", good_run())
    write_run(tmp_path / "c" / "memalloc-1-disturbed-1", good_run())
    _, results = rejudge_all(tmp_path / "c")
    assert [(run.policy, run.verdict) for run in results] == [
        ("memalloc", "pass"),
        ("none", "pass"),
    ]


def test_runs_of_different_scenarios_are_no_comparison(tmp_path: Path) -> None:
    write_run(tmp_path / "memalloc-1", good_run())
    other = write_run(tmp_path / "memalloc-2", good_run())
    changed = scenario().with_overrides({"heartbeat.misses": 4})
    (other / "scenario.json").write_bytes(orjson.dumps(changed.resolved()))
    with pytest.raises(BadInput, match="memalloc-2: expected a run of the same scenario"):
        rejudge_all(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("scenario.json", None, r"scenario\.json: cannot be read: No such file"),
        ("scenario.json", b"{", r"scenario\.json: expected JSON"),
        (
            "scenario.json",
            b'{"name": "x"}',
            r"scenario\.json: claim: expected a value for this key",
        ),
        ("scenario.json", b'{"name": "x", "claim": "y", "z": 1}', "got an unknown key"),
        ("history.jsonl", b"[]\n", r"history\.jsonl:1: expected an event"),
    ],
)
def test_a_damaged_run_is_one_line(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    directory = write_run(tmp_path / "run", good_run())
    (directory / name).unlink()
    if content is not None:
        (directory / name).write_bytes(content)
    with pytest.raises(BadInput, match=words):
        rejudge(directory)


def test_a_baseline_is_saved_from_runs_that_were_made_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(1, 6):
        write_run(tmp_path / "c" / f"memalloc-{seed}", good_run(seed))
    assert app.main(["baseline", "save", "kept", "--from", "c"]) == 0
    assert app.main(["regress", "kept", "--from", "c"]) == 0
    assert "verdict: no regression" in capsys.readouterr().out


def test_a_result_is_not_believed_once_its_history_is_gone(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", good_run())
    (directory / "history.jsonl").unlink()
    _, result = rejudge(directory)
    assert (result.verdict, result.seed) == ("unknown", 1)
    assert result.reasons == ("history.jsonl is missing, and result.json says that there was one",)


def test_a_result_that_never_had_a_history_is_believed(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", good_run())
    (directory / "history.jsonl").unlink()
    Result.not_measured(scenario(), 7, "no switch").write(directory / "result.json")
    _, result = rejudge(directory)
    assert (result.verdict, result.reasons) == ("invalid", ("no switch",))


def test_of_a_run_that_was_killed_it_is_not_known_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", good_run())
    (run / "result.json").unlink()
    (run / "history").mkdir()
    (run / "history.jsonl").rename(run / "history" / "run.jsonl")
    result = rejudge(run)[1]
    words = "the run did not come to its end: the parts of its history were not merged"
    assert (result.verdict, result.reasons) == ("unknown", (words,))
    assert app.main(["judge", str(run)]) == 3
    assert words in " ".join(capsys.readouterr().out.split())
