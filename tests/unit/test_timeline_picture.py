"""The picture of a comparison: what it shows, and the command line's way to it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

import crunchbed.run.engine
from crunchbed.checks.result import Result
from crunchbed.cli import app
from crunchbed.report.node_timeline import BIN_SECONDS, LEAD_SECONDS, node_timeline
from crunchbed.report.timeline_picture import Row, draw
from crunchbed.run.progress import Progress
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import RunInvalid
from tests.unit.recording import Recording

NODES = ("n1", "n2", "n3")
PNG = b"\x89PNG\r\n\x1a\n"


def recording() -> Recording:
    """Return a run whose n2 is crunched at 1.2 s, fenced at 2 s, up at 4 s, measured to 10 s."""
    made = Recording().complete()
    for node in NODES:
        made.add(1, "pool.config", node, total=16384, reserve=256, clean=8192)
        for at in range(50, 10_000, 50):
            made.add(at, "pool.sample", node, free=int(node[1:]) * 1000, low_water=100)
    made.add(1200, "crunch.begin", "run", crunch="writeback", target="n2")
    made.pressure(1300, 2005, "n2")
    made.miss(500, "n1", "n2", 5).miss(1700, "n1", "n2", 17).miss(1750, "n3", "n2", 17)
    made.miss(1800, "n2", "n1", 18)
    made.fence(2000, "n2", view=2, observers=("n1", "n3"))
    return made.rejoin(4000, "n2", view=3, observers=("n1", "n3"))


def test_time_is_counted_from_the_crunch_and_the_target_is_shown() -> None:
    one = node_timeline(recording().history())
    assert (one.node, one.since, one.reserve) == ("n2", "after the crunch began", 256)
    assert one.end == pytest.approx(8.8)
    assert one.pressure == [(pytest.approx(0.1), pytest.approx(0.8))]
    assert one.down == [(pytest.approx(0.8), pytest.approx(2.8))]
    assert one.ejected == [pytest.approx(0.8)]
    assert one.boots == [pytest.approx(2.8)]


def test_only_what_others_missed_of_the_target_counts_and_only_what_is_shown() -> None:
    one = node_timeline(recording().miss(300, "n3", "n2", 3).history())
    early = -0.7
    assert one.missed == {
        "n1": [pytest.approx(early), pytest.approx(0.5)],
        "n3": [pytest.approx(-0.9), pytest.approx(0.55)],
    }
    one = node_timeline(recording().miss(150, "n3", "n2", 1).history())
    assert one.missed["n3"] == [pytest.approx(0.55)]


def test_the_pool_is_shown_while_the_node_is_up() -> None:
    before, after = node_timeline(recording().history()).free
    assert before[-1][0] < 0.8
    assert after[0][0] == pytest.approx(2.8)
    assert {pages for _, pages in before} == {2000, 500}
    assert (pytest.approx(0.1), 500) in before


def test_the_write_rate_is_acknowledged_bytes_by_time() -> None:
    made = recording()
    for at in (1210, 1220, 1310):
        made.ack(at, "n2", at - 5)
    made.ack(1230, "n1", 1225)
    written = node_timeline(made.history()).written
    first = round(LEAD_SECONDS / BIN_SECONDS)
    one_write = 4 * 4096 / 2**20 / BIN_SECONDS
    assert written[first] == pytest.approx(2 * one_write)
    assert written[first + 1] == pytest.approx(one_write)
    assert sum(written) == pytest.approx(3 * one_write)


def test_a_node_that_stays_down_never_boots() -> None:
    made = Recording().complete().add(1, "pool.config", "n1", reserve=256)
    made.add(1200, "crunch.begin", "run", target="n1").fence(2000, "n1", view=2, observers=("n2",))
    one = node_timeline(made.history())
    assert one.boots == []
    assert one.down == [(pytest.approx(0.8), pytest.approx(8.8))]


def test_without_a_crunch_time_is_counted_from_the_inject_phase() -> None:
    made = Recording().complete().add(1, "pool.config", "n1", reserve=256)
    one = node_timeline(made.history())
    assert (one.node, one.since) == ("n1", "into the inject phase")
    assert one.end == pytest.approx(9.0)


def test_without_a_crunch_it_is_about_the_node_that_a_fault_hit_as_the_report_is() -> None:
    made = Recording().complete().fault(1200, 1300, "kill-switch", "s1")
    for node in NODES:
        made.add(1, "pool.config", node, reserve=256)
    made.fault(1400, 1500, "kill-node", "n3")
    assert node_timeline(made.history()).node == "n3"


def size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG."""
    content = path.read_bytes()
    assert content.startswith(PNG)
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_every_run_is_a_row(tmp_path: Path) -> None:
    history = recording().history()
    for rows in (1, 2, 5):
        path = tmp_path / "new" / f"{rows}.png"
        draw([Row(f"p{number}", history) for number in range(rows)], "title", path)
        assert path.stat().st_size < 200_000
    heights = [size(tmp_path / "new" / f"{rows}.png")[1] for rows in (1, 2, 5)]
    assert heights[2] - heights[1] == pytest.approx(3 * (heights[1] - heights[0]), abs=3)


def test_a_run_that_recorded_next_to_nothing_is_drawn(tmp_path: Path) -> None:
    draw([Row("none", Recording().phases(start=0).history())], "title", tmp_path / "x.png")
    assert size(tmp_path / "x.png")[0] > 1000


# --- the command line


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Runs leave the history above, but for policies that are put in the list."""
    failing: list[str] = []

    def run(
        scenario: Scenario, *, seed: int, out: Path, progress: Progress, scraper: object = None
    ) -> Result:
        if scenario.policy in failing:
            raise RunInvalid("it did not come up")
        out.mkdir(parents=True)
        lines = [
            b'{"t":0,"kind":"phase","name":"start"}',
            b'{"t":9,"kind":"phase","name":"inject"}',
        ]
        (out / "history.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        return Result.not_measured(scenario, seed, "")

    monkeypatch.setattr(crunchbed.run.engine, "run", run)
    monkeypatch.chdir(tmp_path)
    return failing


def test_run_and_compare_draw_on_request(
    engine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app.main(["run", "control", "--png", "one.png"])
    assert "picture: one.png" in capsys.readouterr().out
    app.main(["compare", "control", "--png", "deep/two.png", "--repeats", "2", "--out", "a"])
    assert size(tmp_path / "deep" / "two.png")[1] > size(tmp_path / "one.png")[1]
    capsys.readouterr()
    app.main(["compare", "control", "--png", "json.png", "--json", "--out", "b"])
    assert orjson.loads(capsys.readouterr().out)["scenario"] == "control"
    assert (tmp_path / "json.png").exists()


def test_a_run_without_a_history_is_left_out(engine: list[str], tmp_path: Path) -> None:
    engine.append("none")
    app.main(["compare", "control", "--png", "two.png"])
    app.main(["run", "control", "--policy", "memalloc", "--png", "one.png"])
    assert size(tmp_path / "two.png") == size(tmp_path / "one.png")


def test_a_picture_that_cannot_be_made_is_told_before_the_run(
    engine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert app.main(["run", "control", "--png", "file/x.png"]) == 2
    assert "--png file/x.png: cannot write in" in capsys.readouterr().err
    assert app.main(["run", "control", "--png", str(tmp_path)]) == 2
    assert not (tmp_path / "runs").exists()


def test_matplotlib_is_imported_for_pictures_only() -> None:
    code = (
        "import sys, crunchbed.cli.run, crunchbed.report.timeline_picture; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
