"""A sweep read back, as a picture and as a table."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest

from crunchbed.cli import app
from crunchbed.experiments.sweep.folder import asked_order, runs_of, values_of, where
from crunchbed.report.heat_map import axis_label, panel_title, value_label
from reserve_agent.errors import BadInput
from tests.unit.judged_runs import ejecting_run, good_run, result_of


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Ejections from 300 ms on under none, never under memalloc; two seeds."""
    path = tmp_path / "sweep"
    for policy in ("none", "memalloc"):
        for length in ("50ms", "300ms", "2s"):
            for seed in (1, 2):
                run = path / "runs" / f"{policy}-{length}-{seed}"
                run.mkdir(parents=True)
                ejects = policy == "none" and length != "50ms"
                recording = ejecting_run(seed) if ejects else good_run(seed)
                result = result_of(recording, "memalloc").model_copy(update={"verdict": "pass"})
                result.write(run / "result.json")
                point = {"policy": policy, "crunch.length": length, "crunch.depth": "0.5"}
                (run / "trial.json").write_bytes(orjson.dumps({"point": point, "seed": seed}))
    (path / "sweep.json").write_bytes(orjson.dumps({"scenario": {"name": "dose"}}))
    return path


def test_quantities_are_in_order_and_counts_are_of_valid_runs(sweep: Path) -> None:
    runs = runs_of(sweep)
    assert len(runs) == 12
    assert values_of(runs, "crunch.length") == ["50ms", "300ms", "2s"]
    found = where(runs, {"policy": "none", "crunch.length": "2s"})
    assert [result.totals.false_ejections for result in found] == [1, 1]


def test_a_share_of_one_comes_after_the_smaller_ones_and_words_as_they_were_asked_for(
    sweep: Path,
) -> None:
    depths = ("1", "0.25", "0", "0.75")
    runs = [
        ({"depth": depth}, result)
        for depth, (_, result) in zip(depths, runs_of(sweep), strict=False)
    ]
    assert values_of(runs, "depth") == ["0", "0.25", "0.75", "1"]
    reserves = ("auto", "256", "32")
    runs = [
        ({"reserve": value}, result)
        for value, (_, result) in zip(reserves, runs_of(sweep), strict=False)
    ]
    assert values_of(runs, "reserve") == ["32", "256", "auto"]
    asked = asked_order({"vary": ["policy=none,softnet,memalloc", "crunch.length=1s,50ms"]})
    assert values_of(runs_of(sweep), "policy", asked["policy"]) == ["none", "memalloc"]


def test_axes_have_their_units_in_words() -> None:
    assert axis_label("crunch.depth") == "crunch depth (share of the reserve that is gone)"
    assert axis_label("softnet.limit") == "softnet.limit"
    assert [value_label(one) for one in ("300ms", "0.25", "none")] == ["300 ms", "0.25", "none"]
    assert panel_title("memory.reserve", "64") == "reserve 64 pages"
    assert panel_title("memory.reserve", "auto") == "reserve auto"
    assert panel_title("policy", "none") == "none"
    assert panel_title("detector.kind", "swim") == "swim"


def test_the_picture_says_every_count(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "dose.svg", tmp_path / "dose.csv"
    arguments = ["plot", str(sweep), "--x", "crunch.length", "--y", "crunch.depth"]
    arguments += ["--panel", "policy", "--out", str(out), "--csv", str(table)]
    assert app.main(arguments) == 0
    comments = [
        node.text.strip()
        for node in ET.parse(out, ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))).iter()  # noqa: S314
        if node.tag is ET.Comment and node.text
    ]
    assert sorted(text for text in comments if "/" in text) == ["0/2"] * 4 + ["2/2"] * 2
    assert {"none", "memalloc", "50 ms", "300 ms", "2 s"} <= set(comments)
    assert capsys.readouterr().err == ""
    assert app.main([*arguments[:6], "--out", str(out)]) == 0
    assert capsys.readouterr().err == "counted together: runs with any policy\n"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 12
    assert sum(int(row["false_ejections"]) for row in rows) == 4


def test_several_sweeps_are_drawn_as_one_and_the_table_has_further_figures(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "dose.svg", tmp_path / "dose.csv"
    arguments = ["plot", str(sweep), str(sweep), "--x", "crunch.length", "--y", "crunch.depth"]
    arguments += ["--panel", "policy", "--out", str(out), "--csv", str(table)]
    assert app.main([*arguments, "--columns", "nodes_ejected, healthy_ejections"]) == 0
    assert "counted twice or more: 12 runs" in capsys.readouterr().err
    assert {"0/4", "4/4"} <= set(re.findall(r"\d/4", out.read_text()))
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 24
    assert list(rows[0])[-3:] == ["false_ejections", "nodes_ejected", "healthy_ejections"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--x", "crunch.lenth"], "was not varied (did you mean crunch.length?)"),
        (["--figure", "ejections"], "--figure: unknown figure"),
        (["--columns", "flaps,ejections"], "--columns: unknown figure 'ejections'"),
        (["--out", "/nonexistent/x.png"], "cannot be drawn"),
        (["--out", "x.bmpp"], "cannot be drawn"),
    ],
)
def test_wrong_input_is_one_line(
    change: list[str], words: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = app.main(["plot", str(sweep), "--x", "policy", "--y", "crunch.depth", *change])
    assert code in (2, 3)
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_what_is_no_sweep(tmp_path: Path, sweep: Path) -> None:
    with pytest.raises(BadInput, match="expected a sweep with finished runs"):
        runs_of(tmp_path)
    (sweep / "runs" / "none-2s-1" / "trial.json").write_text("[]")
    with pytest.raises(BadInput, match="expected what was varied"):
        runs_of(sweep)
