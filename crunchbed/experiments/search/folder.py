"""A search's directory: a scenario file for each rule that was broken, and the whole as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from crunchbed.experiments.search.conduct import Found, Violation
from crunchbed.scenario import yaml
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, RunInvalid
from reserve_agent.files import write_bytes, write_json

RECORD: Final = "search.json"
_EXPECTED: Final = {"unexplained": ["false_ejections == 0"]}
"""What a run is to be held to, where its verdict does not hold it to the rule anyway."""


class SearchFolder:
    """Where a search keeps what it finds; nothing is made before something was found."""

    def __init__(self, path: Path, base: Scenario, command: str) -> None:
        self.path = path
        self._base = base
        self._command = command

    def file_of(self, violation: Violation) -> Path:
        """Return the scenario file of a violation."""
        return self.path / f"{self._name(violation)}.yaml"

    def keep(self, violation: Violation) -> None:
        """Write, or write again, the scenario of a violation."""
        said = {
            "name": self._name(violation),
            "claim": f"This schedule breaks the rule {violation.rule}: {violation.what}.",
            "source": f"{self._command}, run {violation.first_run}",
            "expect": _EXPECTED.get(violation.rule, []),
        }
        keys = violation.schedule.of_scenario(self._base).resolved()
        scenario = Scenario.of({**keys, **said}, "")
        path = self.file_of(violation)
        head = (
            f"# {violation.what}\n"
            f"# crunchbed run {path.name} --seed {violation.schedule.seed}\n"
            "# --backend namespaces has the same with real nodes.\n"
        )
        self._write(path, (head + yaml.text_of(_said(scenario))).encode())

    def keep_all(self, found: Found, asked: dict[str, Any]) -> dict[str, Any]:
        """Write ``search.json``; returns what it says."""
        record = {**asked, **self._record(found)}
        self._ready()
        try:
            write_json(self.path / RECORD, record)
        except OSError as error:
            raise RunInvalid(f"{self.path}: cannot be written ({error.strerror})") from error
        return record

    def _name(self, violation: Violation) -> str:
        return f"{self._base.name}-{violation.rule}"

    def _record(self, found: Found) -> dict[str, Any]:
        return {
            "runs": found.runs,
            "seconds": round(found.seconds, 3),
            "interrupted": found.interrupted,
            "distinct_outcomes": len(found.outcomes),
            "outcomes": found.outcomes,
            "violations": [self._described(one) for one in found.violations.values()],
        }

    def _described(self, one: Violation) -> dict[str, Any]:
        return {
            "rule": one.rule,
            "what": one.what,
            "runs": one.runs,
            "first_run": one.first_run,
            "first_events": one.first_events,
            "shrunk": one.shrunk,
            "shrink_runs": one.shrink_runs,
            "seed": one.schedule.seed,
            "crunch": one.schedule.crunch,
            "faults": list(one.schedule.faults),
            "file": str(self.file_of(one)),
        }

    def _ready(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"--out {self.path}: cannot be made ({error.strerror})") from error

    def _write(self, path: Path, content: bytes) -> None:
        self._ready()
        try:
            write_bytes(path, content)
        except OSError as error:
            raise RunInvalid(f"{path}: cannot be written ({error.strerror})") from error


def _said(scenario: Scenario) -> dict[str, Any]:
    """Return the keys that differ from their defaults, where they make the same scenario."""
    keys = scenario.resolved()
    plain = Scenario.of({"name": scenario.name, "claim": scenario.claim}, "").resolved()
    del plain["name"], plain["claim"]
    short = {
        key: _differing(value, plain[key]) if key in plain else value
        for key, value in keys.items()
        if value != plain.get(key)
    }
    try:
        same = Scenario.of(short, "").resolved() == keys
    except BadInput:
        same = False
    return short if same else keys


def _differing(section: Any, plain: Any) -> Any:
    """Return a section without what is as by default; a choice of several kinds stays whole."""
    if not isinstance(section, dict) or not isinstance(plain, dict) or "kind" in section:
        return section
    return {key: value for key, value in section.items() if plain.get(key) != value}
