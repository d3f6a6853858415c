"""Finds and reads scenario files; whatever is wrong with one is told in a single line."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from crunchbed.scenario import yaml
from crunchbed.scenario.kinds import did_you_mean
from crunchbed.scenario.problems import Problem, problems
from crunchbed.scenario.profile_file import KEY, shown, with_profile
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput


def load(name_or_path: str) -> Scenario:
    """Return the shipped scenario of that name, or the one in that file.

    Raises:
        BadInput: there is none, or it is wrong; says file, line, key, expected and got.
    """
    return load_file(path_of(name_or_path))


def path_of(name_or_path: str) -> Path:
    """Return the file of the shipped scenario of that name, or the path that it is.

    Raises:
        BadInput: there is no such shipped scenario.
    """
    if name_or_path.endswith((".yaml", ".yml")) or os.sep in name_or_path:
        return Path(name_or_path)
    known = shipped()
    if name_or_path not in known:
        hint = did_you_mean(name_or_path, list(known))
        names = ", ".join(known) or "none, for they are not installed"
        raise BadInput(
            f"no scenario {name_or_path!r}{hint}; known: {names}; see `crunchbed list`, "
            "or give the path of a .yaml file"
        )
    return known[name_or_path]


def load_file(path: Path) -> Scenario:
    """Return the scenario in ``path``, a YAML file that is called after the scenario.

    Raises:
        BadInput: the file cannot be read or is wrong; says file, line, key, expected and got.
    """
    scenario, found = examine(path)
    if scenario is None:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise BadInput(f"{shown(path)}:{found[0].line}: {found[0].problem}{more}")
    return scenario


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a file, and its line."""

    line: int
    problem: Problem


def examine(path: Path) -> tuple[Scenario | None, list[Finding]]:
    """Return the scenario in a file, or None and every problem of the file, by line.

    Raises:
        BadInput: the file cannot be read or is no YAML, or the profile file that it names is
            wrong; says file and line.
    """
    source = shown(path)
    document = yaml.Document(_read(path, source), source)
    if not isinstance(document.value, dict):
        raise BadInput(f"{source}:1: expected a mapping of keys such as name and claim")
    try:
        keys = with_profile(document.value, path.parent)
    except BadInput as error:
        where = f"{source}:{document.line(KEY)}"
        raise BadInput(f"{where}: memory.kernel: {error}") from None
    try:
        scenario = Scenario.model_validate(keys)
    except ValidationError as error:
        found = problems(error, Scenario)
    else:
        if scenario.name == path.stem:
            return scenario, []
        found = [Problem(("name",), f"{path.stem!r} like the file", repr(scenario.name))]
    listed = [Finding(document.line(one.path, at_key=one.at_key), one) for one in found]
    return None, sorted(listed, key=lambda one: one.line)


def shipped() -> dict[str, Path]:
    """Return the shipped scenarios by name, sorted; empty when they are not installed."""
    directory = next((d for d in _directories() if d.is_dir()), None)
    if directory is None:
        return {}
    return {
        path.stem: path for path in sorted(directory.glob("*.yaml"), key=lambda path: path.stem)
    }


def _directories() -> tuple[Path, ...]:
    checkout = Path(__file__).resolve().parents[2] / "scenarios"
    installed = Path(sysconfig.get_path("data")) / "share" / "crunchbed" / "scenarios"
    return checkout, installed


def _read(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = ", ".join(shipped())
        raise BadInput(f"no scenario file {source}; shipped ones: {names}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{source}:1: expected UTF-8 text, got something else") from None
    except OSError as error:
        raise BadInput(f"{source}: cannot be read: {error.strerror}") from None
