"""The report of several runs: what is held against what, and how they are made again."""

from __future__ import annotations

from pathlib import Path

from crunchbed.checks.result import Result
from crunchbed.report.html import comparison_page, make, repeat, run_page, source
from crunchbed.report.html.source import Recorded
from tests.unit import judged_runs
from tests.unit.recorded_runs import write_comparison, write_run
from tests.unit.recording import Recording


def test_a_comparison_has_median_and_range_of_valid_runs(tmp_path: Path) -> None:
    results = write_comparison(tmp_path)
    variants = comparison_page.gather(source.read_runs(tmp_path))
    page = comparison_page.content(variants)
    assert page["columns"] == ["none", "memalloc"]
    rows = {row.name: [cell.value for cell in row.cells] for row in page["rows"]}
    assert rows["nodes_ejected"] == [1, 0]
    assert len(page["runs"]) == len(results) == 4
    assert page["expectations"][0] == ("none.nodes_ejected >= 1", True, "2 of 2 seeds")
    assert page["command"] == (
        "crunchbed compare writeback-crunch.yaml --policies none,memalloc --seeds 1..2"
    )
    assert [group["label"] for group in page["charts"]["groups"]] == ["1", "2"]
    spread = {one["name"]: one["values"] for one in page["charts"]["spreads"]}
    assert spread["false_ejections"] == [[1, 1], [0, 0]]
    assert all(one["intervals"] == [None, None] for one in page["charts"]["spreads"])


def test_five_runs_have_an_interval_and_four_have_none() -> None:
    assert comparison_page.interval([3, 1, 2, 5]) is None
    found = comparison_page.interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert found is not None
    assert 1 <= found[0] <= 3 <= found[1] <= 5
    assert comparison_page.interval([]) is None


def test_a_run_that_left_nothing_takes_part(tmp_path: Path) -> None:
    write_comparison(tmp_path, range(1, 2))
    (tmp_path / "none-1" / "history.jsonl").unlink()
    page = comparison_page.content(comparison_page.gather(source.read_runs(tmp_path)))
    assert ("none", 1, "invalid", "it left no history") in page["runs"]
    assert make.page(page)


def refused(directory: Path, reasons: dict[str, str | None]) -> str:
    """The page of runs that left a reason, or were killed before they did, and no history."""
    for name, reason in reasons.items():
        scenario = judged_runs.scenario(name.partition("-")[0])
        write_run(directory / name, judged_runs.good_run(), scenario)
        (directory / name / "history.jsonl").unlink()
        (directory / name / "result.json").unlink()
        if reason is not None:
            left = Result.not_measured(scenario, 1, reason)
            left.write(directory / name / "result.json")
    return make.page(comparison_page.content(comparison_page.gather(source.read_runs(directory))))


def test_without_any_history_the_page_says_why_and_has_no_charts(tmp_path: Path) -> None:
    port = "port 10809 is taken <here>"
    page = refused(tmp_path, {"none-1": port, "none-2": port, "memalloc-1": None})
    body = page.partition("</footer>")[0]
    assert "No run left a history" in body
    assert (
        "<li>it left no history: port 10809 is taken &lt;here&gt; (none, seed 1; none, seed 2)"
        in body
    )
    assert "<li>it left no history (memalloc, seed 1)" in body
    for gone in ('class="chart"', 'role="toolbar"', "<noscript>", 'id="event"', "the first 0 of"):
        assert gone not in body, gone
    assert page.count("port 10809") == 3, "each run has its reason in the table of runs, too"


def test_with_one_history_there_are_charts_and_no_excuse(tmp_path: Path) -> None:
    write_comparison(tmp_path, range(1, 2))
    (tmp_path / "none-1" / "history.jsonl").unlink()
    page = make.page(comparison_page.content(comparison_page.gather(source.read_runs(tmp_path))))
    assert page.count('class="chart"') == 4
    assert "No run left a history" not in page


def test_a_result_without_its_history_is_not_believed(tmp_path: Path) -> None:
    write_comparison(tmp_path, range(1, 2))
    (tmp_path / "memalloc-1" / "history.jsonl").unlink()
    (tmp_path / "none-1" / "history.jsonl").unlink()
    (tmp_path / "none-1" / "result.json").write_text("[]")
    found = [(run.result.verdict, run.result.reasons) for run in source.read_runs(tmp_path)]
    assert found == [("invalid", ("it left no history",))] * 2


def test_the_axis_of_time_says_what_it_is_counted_from(tmp_path: Path) -> None:
    write_comparison(tmp_path, range(1, 2))
    runs = list(source.read_runs(tmp_path))
    page = comparison_page.content(comparison_page.gather(runs))
    assert page["charts"]["time"] == "seconds after the crunch began"
    made = Recording().complete().fault(1200, 1300, "kill-node", "n2")
    run = Recorded("none", runs[0].scenario, made.history(), runs[0].result)
    page = comparison_page.content(comparison_page.gather([run]))
    assert page["charts"]["time"] == "seconds into the inject phase"
    assert run_page.charts_of(run)[0]["time"] == "seconds into the inject phase"


def test_disturbed_runs_are_left_out(tmp_path: Path) -> None:
    write_comparison(tmp_path, range(1, 2))
    (tmp_path / "none-1").rename(tmp_path / "none-1-disturbed-1")
    assert [run.label for run in source.read_runs(tmp_path)] == ["memalloc"]


def test_what_differs_beside_the_policy_is_in_table_and_commands(tmp_path: Path) -> None:
    for setting, classes in (("both", "[block-io, heartbeat]"), ("block-io", "[block-io]")):
        scenario = judged_runs.scenario().with_overrides({"memalloc": classes, "expect": []})
        write_run(tmp_path / f"memalloc-{setting}-1", judged_runs.good_run(), scenario)
    page = comparison_page.content(comparison_page.gather(source.read_runs(tmp_path)))
    assert page["differences"] == [("memalloc", ['["block-io","heartbeat"]', '["block-io"]'])]
    first, second = page["command"].split("\n")
    assert "--set 'memalloc=[\"block-io\"]'" in second
    assert "heartbeat" in first


def test_the_commands_repeat_every_seed_of_every_column() -> None:
    one, other = judged_runs.scenario("none"), judged_runs.scenario("memalloc")
    compare = f"crunchbed compare {one.name}.yaml --policies"
    made = repeat.commands({"none": one, "memalloc": other}, [1, 2, 3, 7])
    assert made.split("\n") == [
        f"{compare} none,memalloc --seeds 1..3",
        f"{compare} none,memalloc --seeds 7..7",
    ]
    changed = other.with_overrides({"memory.reserve": 32})
    made = repeat.commands({"none": one, "memalloc-32": changed}, [4, 5])
    first, second = made.split("\n")
    assert first.startswith(f"{compare} none --seeds 4..5")
    assert second == f"{compare} memalloc --seeds 4..5 --set memory.reserve=32"
