"""Reports in a browser: nothing fails, nothing is fetched, the figures are the result's."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from bench.long_history import write_long_run
from crunchbed.checks.result import Result
from crunchbed.report.html import make
from tests.system.browser import Theme, chromium, opened, until
from tests.unit import judged_runs
from tests.unit.recorded_runs import ejecting, write_comparison, write_run

MANY_EVENTS = 1_000_000

# Pixels of the canvas in an element that something was drawn on.
DRAWN = """(id) => {
  const canvas = document.querySelector(`#${id} canvas`);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let drawn = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at]) drawn++;
  return drawn;
}"""
CELLS = """(exact) => Object.fromEntries(
  [...document.querySelectorAll("tr[data-figure]")].map((row) => [row.dataset.figure,
    [...row.querySelectorAll("td")].map((cell) =>
      exact ? JSON.parse(cell.dataset.value) : cell.textContent)]))"""
REDRAW = """() => new Promise((done) => {
  const began = performance.now();
  for (let n = 0; n < 10; n++) { ACTIONS.in(); ACTIONS.whole(); }
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 20)));
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "run"
    write_run(directory, ejecting(), judged_runs.scenario("none"))
    return make.write(directory, directory / "report.html")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    write_comparison(directory, range(1, 4))
    return make.write(directory, directory / "report.html")


def shows(page: Page, chart: str) -> int:
    """Return how many pixels of a chart are drawn on."""
    drawn: int = page.evaluate(DRAWN, chart)
    return drawn


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_a_report_opens_without_an_error_and_without_a_network(
    kind: str, width: int, theme: Theme, browser: Browser, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(kind)
    with opened(browser, path, width=width, theme=theme) as one:
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        for chart in ("timeline", "level", "rate", "latency"):
            assert shows(one.page, chart) > 500, chart
        background = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ("252" in background) == (theme == "light")
        assert (one.said, one.asked) == ([], [])


def test_a_comparison_without_any_history_opens_without_an_error(
    tmp_path: Path, browser: Browser
) -> None:
    write_comparison(tmp_path, range(1, 2))
    for path in tmp_path.glob("*/history.jsonl"):
        path.unlink()
    with opened(browser, make.write(tmp_path, tmp_path / "report.html")) as one:
        one.page.click("#theme")
        assert "No run left a history" in one.page.inner_text("main")
        assert one.page.query_selector_all(".chart, [role=toolbar]") == []
        assert one.page.get_attribute("#save", "href", timeout=1000).startswith("data:text/yaml")
        assert (one.said, one.asked) == ([], [])


def test_what_a_page_must_not_do_is_noticed(run: Path, tmp_path: Path, browser: Browser) -> None:
    text = run.read_text().replace("default-src 'none'", "default-src *")
    bad = tmp_path / "bad.html"
    bad.write_text(text.replace("</body>", "<img src='near.png'><script>nobody()</script></body>"))
    with opened(browser, bad) as one:
        assert any("nobody is not defined" in text for text in one.said)
        assert [Path(url).name for url in one.asked] == ["near.png"]


def test_the_figures_are_those_of_the_result(run: Path, browser: Browser) -> None:
    result = Result.read(run.parent / "result.json")
    with opened(browser, run) as one:
        shown, texts = one.page.evaluate(CELLS, True), one.page.evaluate(CELLS, False)
    each = [result.totals, *result.nodes.values()]
    assert shown["heartbeats_missed"][0] == 2
    for name, values in shown.items():
        assert values == [figures.value(name) for figures in each], name
    assert texts["false_ejections"] == ["1", "1", "0", "0"]
    assert texts["misses_by_cause.stalled_sender"][0] == "1"


def test_the_keyboard_reaches_every_event(run: Path, browser: Browser) -> None:
    with opened(browser, run) as one:
        page = one.page
        page.focus("#timeline")
        page.keyboard.press("n")
        first = page.inner_text("#event")
        assert first.startswith("1 of ")
        said = [first]
        while not said[-1].startswith(f"{first.split()[2].rstrip(':')} of"):
            page.keyboard.press("n")
            said.append(page.inner_text("#event"))
        told = "\n".join(said)
        assert "n1 under memory pressure for 520 ms" in told
        assert "n1 ejected alive (false ejection)" in told
        assert "n1 not heard: stalled sender" in told
        assert "n1 block I/O stalled for 400 ms" in told
        page.keyboard.press("p")
        assert page.inner_text("#event") == said[-2]


def test_an_event_out_of_sight_is_brought_into_view(run: Path, browser: Browser) -> None:
    cursor = "page.line.posToVal(page.line.cursor.left, 'x')"
    with opened(browser, run) as one:
        page = one.page
        page.focus("#timeline")
        for key in ("+", "+", "+", "p"):
            page.keyboard.press(key)
        at = page.evaluate("page.events[page.at].t")
        until(page, f"Math.abs({cursor} - {at}) < 0.01")
        assert page.evaluate("Time.min") < at < page.evaluate("Time.max")


def test_all_charts_over_time_zoom_together(run: Path, browser: Browser) -> None:
    ranges = "Time.charts.map((chart) => [chart.scales.x.min, chart.scales.x.max])"
    with opened(browser, run) as one:
        page = one.page
        whole = page.evaluate(ranges)
        page.focus("#timeline")
        page.keyboard.press("+")
        until(page, "Time.charts[2].scales.x.max < DATA.whole[1]")
        near = page.evaluate(ranges)
        assert near[0] == near[1] == near[2] != whole[0]
        assert near[0][1] - near[0][0] == pytest.approx((whole[0][1] - whole[0][0]) / 2)
        page.click("text=whole")
        until(page, "Time.charts[2].scales.x.max === DATA.whole[1]")
        assert page.evaluate(ranges) == whole
        assert one.said == []


def test_a_curve_is_hidden_from_the_keyboard(run: Path, browser: Browser) -> None:
    with opened(browser, run) as one:
        one.page.focus("#level .u-legend .u-series:nth-child(2)")
        one.page.keyboard.press("Enter")
        assert one.page.evaluate("page.charts[1].series[1].show") is False


def test_the_theme_can_be_switched(run: Path, browser: Browser) -> None:
    with opened(browser, run, theme="dark") as one:
        one.page.click("#theme")
        assert one.page.evaluate("document.documentElement.dataset.theme") == "light"
        assert shows(one.page, "timeline") > 500
        assert one.said == []


def test_the_settings_can_be_saved(run: Path, browser: Browser) -> None:
    with opened(browser, run) as one:
        with one.page.expect_download() as waited:
            one.page.click("#save")
        assert waited.value.suggested_filename == "writeback-crunch.yaml"
        assert one.said == []


def test_another_seed_is_shown(comparison: Path, browser: Browser) -> None:
    with opened(browser, comparison) as one:
        one.page.select_option("#group", index=2)
        assert one.page.evaluate("page.group") == 2
        assert shows(one.page, "timeline") > 500
        assert len(one.page.query_selector_all("#spreads figure")) > 3
        assert one.said == []


@pytest.mark.slow
def test_a_million_events_make_a_small_report_in_time(tmp_path: Path, browser: Browser) -> None:
    directory = tmp_path / "long"
    write_long_run(directory, MANY_EVENTS)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "crunchbed", "report", str(directory)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # What it computed rather than what it waited for: others may use the machine.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    path = directory / "report.html"
    assert path.stat().st_size < 15_000_000
    with opened(browser, path) as one:
        took = one.page.evaluate(REDRAW)
        assert took < 100  # milliseconds for a change of the range of all charts
        assert one.said == []
