"""Results as JUnit XML, which every CI reads.

Each run and each expectation is a test case. A `fail` is a failure, `invalid` and `unknown` are
errors, and an expectation whose policy was not run is skipped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree  # it writes only
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from crunchbed.checks.result import Result, Verdict
from crunchbed.experiments.comparison import Comparison
from reserve_agent.errors import CrunchbedError

Status = Literal["pass", "failure", "error", "skipped"]

_STATUSES: Final[Mapping[Verdict, Status]] = {
    "pass": "pass",
    "fail": "failure",
    "invalid": "error",
    "unknown": "error",
}
_CONTROL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


class Case(NamedTuple):
    """One test case; ``text`` says why it did not pass."""

    classname: str
    name: str
    status: Status = "pass"
    text: str = ""
    seconds: float = 0.0


def cases_of_run(result: Result) -> list[Case]:
    """Return the case of a run, and one for each expectation that it decides."""
    classname = f"crunchbed.{result.scenario}.{result.policy}"
    where = f"seed {result.seed}"
    why = "; ".join(result.reasons)
    whole = Case(classname, where, _STATUSES[result.verdict], why, result.duration_seconds)
    expected = (
        Case(classname, f"{where}: {one.text}", _of(one.holds), one.shown)
        for one in result.expectations
    )
    return [whole, *expected]


def cases_of_comparison(comparison: Comparison) -> list[Case]:
    """Return the case of every run, and one for each expectation over all seeds."""
    runs = [cases_of_run(run)[0] for run in comparison.runs]
    classname = f"crunchbed.{comparison.scenario}"
    for one in comparison.expectations:
        if one.runnable:
            held = f"holds on {one.held} of {len(one.outcomes)} seeds"
            runs.append(Case(classname, one.text, _of(one.holds), held))
        else:
            runs.append(Case(classname, one.text, "skipped", "names a policy that was not run"))
    return runs


def write_junit(path: Path | None, suite: str, cases: Sequence[Case]) -> None:
    """Write a test suite, where there is a ``path``; CrunchbedError where it cannot be written."""
    if path is None:
        return
    root = ElementTree.Element("testsuites", _counts(cases))
    parent = ElementTree.SubElement(root, "testsuite", {"name": suite, **_counts(cases)})
    for case in cases:
        names = {"classname": _clean(case.classname), "name": _clean(case.name)}
        attributes = {**names, "time": f"{case.seconds:.3f}"}
        element = ElementTree.SubElement(parent, "testcase", attributes)
        if case.status != "pass":
            text = _clean(case.text)
            inner = ElementTree.SubElement(element, case.status, {"message": text})
            inner.text = text
    ElementTree.indent(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise CrunchbedError(f"{path}: cannot be written: {error.strerror}") from error


def _of(holds: bool | None) -> Status:
    return "error" if holds is None else "pass" if holds else "failure"


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    found = [case.status for case in cases]
    return {
        "tests": str(len(found)),
        "failures": str(found.count("failure")),
        "errors": str(found.count("error")),
        "skipped": str(found.count("skipped")),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _clean(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)
