"""The pytest plugin, in sessions of its own with a testbed that only says what it was asked for."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

FAKE = """
import pytest
import crunchbed.run.engine
from crunchbed.checks.figures import Figures
from crunchbed.checks.result import Result
from reserve_agent.errors import MissingRequirement

CALLS = []

@pytest.fixture(autouse=True)
def testbed(monkeypatch):
    def run(scenario, *, seed, out, progress, **more):
        CALLS.append((scenario.name, scenario.policy, seed))
        out.mkdir(parents=True)
        (out / "history.jsonl").write_text("")
        if scenario.policy == "softnet":
            raise MissingRequirement("this machine lacks bpf-tc (modprobe cls_bpf)")
        ejected = int(scenario.policy == "none")
        verdict = {"mempool": "invalid", "none": "fail"}.get(scenario.policy, "pass")
        return Result.not_measured(scenario, seed, "").model_copy(update={
            "verdict": verdict, "reasons": ("it was " + verdict,) if verdict != "pass" else (),
            "totals": Figures(nodes_ejected=ejected, heartbeats_missed=scenario.heartbeat.misses),
        })
    monkeypatch.setattr(crunchbed.run.engine, "run", run)
"""


@pytest.fixture
def session(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(FAKE)
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    return pytester


def test_it_is_shipped() -> None:
    (found,) = [one for one in entry_points(group="pytest11") if one.name == "crunchbed"]
    assert found.value == "crunchbed.plugin.plugin"


def test_a_marked_test_gets_the_judged_run(session: pytest.Pytester) -> None:
    session.makepyfile("""
        import pytest

        @pytest.mark.scenario("writeback-crunch", policy="memalloc", seed=3)
        def test_saved(crunchbed_run):
            assert crunchbed_run.verdict == "pass"
            assert crunchbed_run.totals.nodes_ejected == 0
            assert crunchbed_run["misses_by_cause.link"] == 0
            assert crunchbed_run["after.io_errors"] is None
            assert crunchbed_run.expect("nodes_ejected == 0").holds
            assert crunchbed_run.scenario.policy == "memalloc"
            assert crunchbed_run.result.seed == 3
            assert crunchbed_run.history.events == []
            with pytest.raises(KeyError):
                crunchbed_run["nonesuch"]
    """)
    session.runpytest().assert_outcomes(passed=1)


def test_several_marks_are_several_tests_and_equal_runs_are_made_once(
    session: pytest.Pytester,
) -> None:
    session.makepyfile("""
        import pytest
        from conftest import CALLS

        SLOW = {"heartbeat.misses": 7}

        @pytest.mark.scenario("writeback-crunch", policy="none")
        @pytest.mark.scenario("writeback-crunch", policy="memalloc", settings=SLOW)
        def test_both(crunchbed_run):
            expected = {"none": 5, "memalloc": 7}[crunchbed_run.scenario.policy]
            assert crunchbed_run.totals.heartbeats_missed == expected

        @pytest.mark.scenario("writeback-crunch", policy="none")
        def test_the_same_again(crunchbed_run):
            assert len(CALLS) == 2

        def test_runs_against_each_other(crunchbed_runner):
            policies = ("none", "critical")
            none, other = (crunchbed_runner("writeback-crunch", policy=p) for p in policies)
            assert none["nodes_ejected"] > other["nodes_ejected"]
            assert len(CALLS) == 3
    """)
    result = session.runpytest("-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "*test_both?writeback-crunch-policy=none?*",
            "*test_both?writeback-crunch-policy=memalloc-heartbeat.misses=7?*",
        ]
    )


def test_a_failure_says_where_its_run_is(session: pytest.Pytester) -> None:
    session.makepyfile("""
        import pytest

        @pytest.mark.scenario("writeback-crunch", policy="none")
        def test_fails(crunchbed_run):
            assert crunchbed_run.totals.nodes_ejected == 0
    """)
    kept = session.path / "kept"
    result = session.runpytest(f"--crunchbed-runs={kept}", "--junit-xml=j.xml")
    result.assert_outcomes(failed=1)
    (directory,) = kept.iterdir()
    result.stdout.fnmatch_lines(
        [
            "*crunchbed runs*",
            f"writeback-crunch, none, seed 1: fail, {directory}",
            "  it was fail",
        ]
    )
    root = ElementTree.parse(session.path / "j.xml").getroot()  # noqa: S314 - our own
    (found,) = root.iter("property")
    assert found.attrib == {"name": "crunchbed_run", "value": str(directory)}


def test_what_the_machine_lacks_is_a_skip_with_its_name(session: pytest.Pytester) -> None:
    session.makepyfile("""
        import pytest

        @pytest.mark.scenario("writeback-crunch", policy="softnet")
        def test_skipped(crunchbed_run):
            raise AssertionError
    """)
    result = session.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*this machine lacks bpf-tc (modprobe cls_bpf)*"])


def test_a_run_that_stays_invalid_is_an_error(session: pytest.Pytester) -> None:
    session.makepyfile("""
        import pytest

        @pytest.mark.scenario("writeback-crunch", policy="mempool")
        def test_nothing_said(crunchbed_run):
            raise AssertionError

        @pytest.mark.scenario("writeback-crunch", policy="mempool")
        def test_nor_here(crunchbed_run):
            raise AssertionError
    """)
    kept = session.path / "kept"
    result = session.runpytest(f"--crunchbed-runs={kept}")
    result.assert_outcomes(errors=2)
    (directory,) = (one for one in kept.iterdir() if "-disturbed-" not in one.name)
    said = [
        "*RunInvalid: writeback-crunch, mempool, seed 1: invalid: it was*",
        f"writeback-crunch, mempool, seed 1: invalid, {directory}",
    ]
    result.stdout.fnmatch_lines(said * 2)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("", "*expected @pytest.mark.scenario(?NAME?), got none*"),
        ('@pytest.mark.scenario("writeback-crunsh")', "*did you mean writeback-crunch*"),
        (
            '@pytest.mark.scenario("control", policy="nonesuch")',
            "*override policy: expected one of*",
        ),
        ('@pytest.mark.scenario("control", sed=3)', "*unexpected keyword argument 'sed'*"),
        ("@pytest.mark.scenario()", "*missing 1 required positional argument: 'name'*"),
        ('@pytest.mark.scenario("control", settings={"a.b": 1})', "*override a.b: expected a key*"),
    ],
)
def test_a_wrong_mark_is_an_error_that_says_so(
    mark: str, words: str, session: pytest.Pytester
) -> None:
    session.makepyfile(f"import pytest\n\n{mark}\ndef test_x(crunchbed_run):\n    pass\n")
    result = session.runpytest()
    assert result.parseoutcomes().get("errors") == 1
    result.stdout.fnmatch_lines([words])


def test_a_session_that_asks_for_no_run_imports_none_of_the_product(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        import sys

        def test_light():
            heavy = {"pydantic", "rich", "crunchbed.run.engine", "crunchbed.plugin.runs"}
            assert not heavy & set(sys.modules)
    """)
    done = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    done.assert_outcomes(passed=1)
    assert Path(str(pytester.path)).exists()
