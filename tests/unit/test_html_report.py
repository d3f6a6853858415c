"""The report: what its charts and tables are given, and that it comes of the history alone."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from matplotlib.figure import Figure

from crunchbed.checks.figures import CAUSES
from crunchbed.cli import app
from crunchbed.history.history import History
from crunchbed.report import pictures
from crunchbed.report.html import comparison_page, lanes, make, run_page, series, source, thin
from crunchbed.report.html.source import Recorded
from crunchbed.scenario.loader import load_file
from tests.unit import judged_runs
from tests.unit.recorded_runs import ejecting, write_comparison, write_run
from tests.unit.recording import MS, Recording

Captured = pytest.CaptureFixture[str]


def recorded(recording: Recording, policy: str = "none") -> Recorded:
    """Return a run as it is read from its directory."""
    result = judged_runs.result_of(recording, policy)
    return Recorded(policy, judged_runs.scenario(policy), recording.history(), result)


def lane(recording: Recording, node: str) -> lanes.Lane:
    """Return one node's row; the crunch begins at 1.2 s."""
    run = recorded(recording)
    return lanes.Lanes(run.history, run.scenario, run.axis, 100 * MS).of(node)


def charts(page: str) -> dict[str, object]:
    """Return the data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    data: dict[str, object] = orjson.loads(found[1])
    return data


# --- the time line


def test_a_row_has_what_happened_to_its_node() -> None:
    n1 = lane(ejecting(), "n1")
    assert n1.pressure == [(0.08, 0.6)]  # until its fence
    assert n1.down == [(0.6, 2.6)]
    assert n1.ejected == [0.6]
    assert n1.removed == []
    assert n1.stalls == [(0.1, 0.5), (0.5, 0.6)]  # the second was open when it was fenced
    assert n1.unheard == [(0.15, CAUSES.index("stalled_sender"))]
    assert [t for t, _ in n1.missed] == [0.251]


def test_a_row_says_when_its_run_was_measured() -> None:
    assert lane(ejecting(), "n1").measured == (-1.1, 8.8)
    page = comparison_page.content(comparison_page.gather([recorded(ejecting())]))
    assert page["charts"]["groups"][0]["rows"][0]["measured"] == (-1.2, 8.8)


def test_a_miss_is_in_the_rows_of_both_ends() -> None:
    n2 = lane(ejecting(), "n2")
    assert [t for t, _ in n2.missed] == [0.15]
    assert [t for t, _ in n2.unheard] == [0.251]


def test_heartbeats_go_on_until_a_gap() -> None:
    run = judged_runs.good_run()
    for seq, ms in enumerate((1000, 1100, 1200, 1700, 1800), 2):
        run.sent(ms, "n1", seq)
    # Each counts for an interval of 100 ms; the first, at 60 ms, is before the control phase.
    assert lane(run, "n1").beating == [(-1.1, -1.04), (-0.2, 0.1), (0.5, 0.7)]


def test_who_was_down_before_it_was_ejected_was_not_ejected_alive() -> None:
    run = judged_runs.good_run().add(1500, "node.down", target="n1")
    run.fence(1800, "n1", view=2, observers=("n2", "n3"))
    n1 = lane(run, "n1")
    assert (n1.ejected, n1.removed) == ([], [0.6])


# --- thinning


def test_few_marks_and_spans_stay_as_they_are() -> None:
    assert thin.marks([(0.1, 1), (0.1, 2)], (0, 1), 2) == [(0.1, 1), (0.1, 2)]
    assert thin.spans([(0.1, 0.2), (0.2, 0.3)], 2) == [(0.1, 0.2), (0.2, 0.3)]


def test_of_many_marks_each_cause_keeps_one_a_bin() -> None:
    many = [(n / 1000, cause) for n in range(1000) for cause in (0, 1)]
    kept = thin.marks(many, (0, 1), 10)
    assert len(kept) == 20
    assert {cause for _, cause in kept} == {0, 1}


def test_spans_are_merged_over_small_gaps_only() -> None:
    many = [(n / 1000, n / 1000 + 0.0005) for n in range(500)] + [(0.9, 0.95)]
    kept = thin.spans(many, 10)
    assert len(kept) == 10
    assert kept[0][0] == 0
    assert kept[-2:] == [(pytest.approx(kept[-2][0]), 0.4995), (0.9, 0.95)]


def test_a_level_keeps_its_extremes_in_their_order() -> None:
    grid = thin.Grid(0, 10, bins=10)
    points = [(1.1, 500), (1.2, 3), (1.3, 400), (1.9, 900), (5.5, 7)]
    values = grid.extremes(points)
    assert values[2:4] == [3, 900]
    assert values[10:12] == [7, None]
    assert len(values) == len(grid.times()) == 20


def test_a_level_breaks_off_while_there_is_none() -> None:
    values = thin.Grid(0, 10, bins=10).extremes([(1, 5), (8, 6)], [(2, 5)])
    assert values[2] == 5
    assert values[5:11] == [thin.GAP] * 6
    assert values[16] == 6


def test_the_page_says_what_was_thinned() -> None:
    run = ejecting()
    for number in range(thin.MOST_DRAWN + 500):
        run.miss(1300 + number / 10, "n3", "n1", 20 + number)
    _, said = run_page.charts_of(recorded(run))
    wanted = r"n1, its heartbeats that others missed: 2,501 are drawn as [\d,]+"
    assert any(re.search(wanted, note) for note in said)


# --- curves


def test_the_share_of_slower_writes_is_exact() -> None:
    curves = series.slower_than({"a": [10, 20, 30, 1000], "nothing": []})
    assert [one["label"] for one in curves["series"]] == ["a"]
    share = dict(zip(curves["x"], curves["series"][0]["y"], strict=True))
    assert share[min(share)] == 0.75  # of four, three took longer than the fastest
    assert share[max(share)] is None
    assert all(
        a is None or b is None or a >= b
        for a, b in zip(list(share.values()), list(share.values())[1:], strict=False)
    )


def test_the_rate_counts_every_block_once() -> None:
    run = recorded(judged_runs.good_run())
    rate = series.write_rates({"n1": (run.history, "n1", run.axis)}, -1, 8)
    blocks = sum(rate["series"][0]["y"]) * rate["bin_seconds"] * (1 << 20) / 4096
    assert blocks == pytest.approx(8, rel=0.01)


def test_who_is_not_measured_has_no_rate_and_a_bin_that_is_cut_short_the_same_one() -> None:
    """Measured from -1.2 s to 8.8 s."""
    made = judged_runs.good_run()
    for at in range(9855, 10000, 10):
        made.ack(at, "n1", at - 1)
    run = recorded(made)
    rates = series.write_rates({"n1": (run.history, "n1", run.axis)}, -1.45, 9.45)
    shown = dict(zip(rates["x"], rates["series"][0]["y"], strict=True))
    assert {at for at, rate in shown.items() if rate is None} == {
        *(round(-1.45 + 0.1 * n, 6) for n in range(2)),
        *(round(8.75 + 0.1 * n, 6) for n in range(1, 7)),
    }
    rate = pytest.approx(10 * 4 * 4096 / (1 << 20) / 0.1, rel=0.01)
    assert (shown[8.65], shown[8.75]) == (rate, rate)


# --- the page


def test_every_figure_is_the_result_s(tmp_path: Path) -> None:
    result = write_run(tmp_path / "run", ejecting(), judged_runs.scenario("none"))
    page = run_page.content(source.read_run(tmp_path / "run"))
    assert page["columns"] == ["total", "n1", "n2", "n3"]
    rows = {row.name: [cell.value for cell in row.cells] for row in page["rows"]}
    each = [result.totals, *result.nodes.values()]
    for name, values in rows.items():
        assert values == [one.value(name) for one in each], name
    assert rows["heartbeats_missed"][0] == 2


def test_the_page_comes_of_the_history_alone(tmp_path: Path, capsys: Captured) -> None:
    directory = tmp_path / "run"
    write_run(directory, ejecting(), judged_runs.scenario("none"))
    assert app.main(["report", str(directory)]) == 0
    assert capsys.readouterr().out == f"report: {directory}/report.html\n"
    first = (directory / "report.html").read_bytes()
    (directory / "result.json").unlink()
    (directory / "report.html").unlink()
    assert app.main(["report", str(directory)]) == 0
    assert (directory / "report.html").read_bytes() == first


def test_the_settings_on_the_page_make_the_same_scenario(tmp_path: Path) -> None:
    content = run_page.content(recorded(ejecting()))
    (tmp_path / "writeback-crunch.yaml").write_text(content["yaml"])
    assert load_file(tmp_path / "writeback-crunch.yaml") == judged_runs.scenario("none")
    assert content["command"] == "crunchbed run writeback-crunch.yaml --seed 1"


def test_text_of_a_scenario_stays_text() -> None:
    evil = "</script><script>alert(1)</script>"
    run = recorded(ejecting())
    named = run.scenario.model_copy(update={"claim": evil})
    page = make.page(run_page.content(Recorded(evil, named, run.history, run.result)))
    assert evil not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page


def test_nothing_in_the_page_names_another_place(tmp_path: Path) -> None:
    page = make.page(run_page.content(recorded(ejecting())))
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["']?(?!#|data:)[^"'\s>]""", page.split("<script>")[0])


def test_a_run_without_events_has_a_page() -> None:
    run = recorded(Recording().phases(start=0))
    assert "invalid" in make.page(run_page.content(run)) or run.result.verdict == "unknown"


# --- what is wrong


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("history.jsonl", None, "ended before it was complete"),
        (
            "history.jsonl",
            b'{"t":1,"kind":"x"}\nnonsense\n{}\n',
            "history.jsonl:2: expected an event",
        ),
        ("scenario.json", None, "scenario.json: cannot be read"),
        ("scenario.json", b"[]", "scenario.json: expected a resolved scenario"),
    ],
)
def test_a_damaged_run_is_told_in_one_line(
    file: str, content: bytes | None, said: str, tmp_path: Path, capsys: Captured
) -> None:
    write_run(tmp_path / "run", ejecting(), judged_runs.scenario("none"))
    (tmp_path / "run" / file).unlink()
    if content is not None:
        (tmp_path / "run" / file).write_bytes(content)
    assert app.main(["report", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_a_directory_without_runs_is_told(tmp_path: Path, capsys: Captured) -> None:
    assert app.main(["report", str(tmp_path)]) == 2
    assert "expected a run (with a history.jsonl) or a directory of runs" in capsys.readouterr().err


def test_runs_of_two_scenarios_are_no_comparison(tmp_path: Path, capsys: Captured) -> None:
    write_comparison(tmp_path, range(1, 2))
    other = judged_runs.scenario().model_copy(update={"name": "other"})
    write_run(tmp_path / "memalloc-9", judged_runs.good_run(), other)
    assert app.main(["report", str(tmp_path)]) == 2
    assert "runs of one scenario, got writeback-crunch and other" in capsys.readouterr().err


def test_pictures_for_a_paper(tmp_path: Path, capsys: Captured) -> None:
    write_comparison(tmp_path / "both", range(1, 2))
    assert app.main(["report", str(tmp_path / "both"), "--png", str(tmp_path / "png")]) == 0
    assert {path.name for path in (tmp_path / "png").iterdir()} == {
        "latency.png",
        "spread.png",
        "timeline.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "png").iterdir())


def test_a_picture_has_the_interval_of_a_median_where_there_is_one() -> None:
    panel = Figure().subplots()
    values = [[1.0, 2.0, 3.0, 4.0, 5.0], [2.0], []]
    one = {"values": values, "medians": [3.0, 2.0, None], "intervals": [(2.0, 4.0), None, None]}
    pictures._draw_spread(panel, one)
    ((box,),) = panel.containers
    assert (box.get_y(), box.get_height()) == (2.0, 2.0)


def test_history_is_the_same_object_for_page_and_result() -> None:
    """A page of a run that is read already reads nothing again."""
    run = recorded(ejecting())
    assert isinstance(run.history, History)
    assert run.target == "n1"
    assert run.axis.at(1200 * MS) == 0
