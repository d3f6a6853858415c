"""Results as JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from crunchbed.experiments.comparison import compare
from crunchbed.report.junit import Case, cases_of_comparison, cases_of_run, write_junit
from reserve_agent.errors import CrunchbedError
from tests.unit.judged_runs import ejecting_run, good_run, result_of, scenario


def read(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()  # noqa: S314 - what we wrote ourselves


def test_a_run_and_its_expectations_are_cases(tmp_path: Path) -> None:
    result = result_of(ejecting_run())
    write_junit(tmp_path / "new" / "run.xml", "writeback-crunch", cases_of_run(result))
    root = read(tmp_path / "new" / "run.xml")
    (suite,) = root
    assert suite.attrib["name"] == "writeback-crunch"
    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "3", "failures": "2", "errors": "0", "skipped": "0"}
    whole, ejected, lost = suite
    assert whole.attrib["classname"] == "crunchbed.writeback-crunch.memalloc"
    assert whole.attrib["name"] == "seed 1"
    assert float(whole.attrib["time"]) == pytest.approx(10.1, abs=0.2)
    assert whole[0].tag == "failure"
    assert whole[0].attrib["message"] == result.reasons[0]
    assert ejected.attrib["name"] == "seed 1: memalloc.nodes_ejected == 0"
    assert ejected[0].text == "memalloc.nodes_ejected = 1"
    assert list(lost) == []


def test_what_says_nothing_is_an_error_and_what_was_not_run_is_skipped(tmp_path: Path) -> None:
    invalid = result_of(good_run().miss(500, "n2", "n3", 4))
    comparison = compare(scenario(), [invalid])
    write_junit(tmp_path / "c.xml", "s", cases_of_comparison(comparison))
    cases = {case.attrib["name"]: case for case in read(tmp_path / "c.xml")[0]}
    assert cases["seed 1"][0].tag == "error"
    assert "control phase" in cases["seed 1"][0].attrib["message"]
    assert cases["none.nodes_ejected >= 1"][0].tag == "skipped"
    assert cases["memalloc.nodes_ejected == 0"][0].tag == "error"


def test_text_that_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    case = Case(classname="a", name="b\x00<&>", status="failure", text='"\x1b[1m ]]> \ud800 ü')
    write_junit(tmp_path / "x.xml", "s", [case])
    (found,) = read(tmp_path / "x.xml")[0]
    assert found.attrib["name"] == "b\ufffd<&>"
    assert found[0].text == '"\ufffd[1m ]]> \ufffd ü'


def test_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CrunchbedError, match=r"x\.xml: cannot be written"):
        write_junit(tmp_path / "file" / "x.xml", "s", [])
