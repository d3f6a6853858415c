"""``crunchbed validate``: everything that is wrong with scenario files, without a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

import click

from crunchbed.cli.output import json_option, print_json
from crunchbed.scenario.loader import Finding, examine, path_of, shown
from crunchbed.scenario.problems import dotted
from reserve_agent.errors import BadInput


@dataclass(frozen=True, slots=True)
class _Line:
    """One problem, as it is printed; ``key`` is None where the file is no YAML or not there."""

    text: str
    line: int | None = None
    key: str | None = None
    expected: str | None = None
    got: str | None = None

    @classmethod
    def of(cls, file: str, finding: Finding) -> Self:
        problem = finding.problem
        text = f"{file}:{finding.line}: {problem}"
        return cls(text, finding.line, dotted(problem.path), problem.expected, problem.got)

    def record(self) -> dict[str, Any]:
        """Return what ``--json`` says of it."""
        return {name: getattr(self, name) for name in ("line", "key", "expected", "got", "text")}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing of files that are right.")
@json_option
def validate(files: tuple[str, ...], quiet: bool, as_json: bool) -> int:
    """Check scenario FILEs, or shipped names, and run nothing; needs no root.

    Every problem of every file is a line on stdout, with file, line and key. Keys that do not go
    together are looked for once each key of the file is right by itself. The exit code is 2 where
    there is a problem.

    \b
    Examples:
      crunchbed validate scenarios/*.yaml
      crunchbed validate mine.yaml --quiet && crunchbed run mine.yaml
      crunchbed validate mine.yaml --json | jq '.files[].problems[].text'
    """  # noqa: D301 - \b is click's
    found = {file: _problems(file) for file in files}
    count = sum(len(problems) for problems in found.values())
    if as_json:
        listed = [
            {"file": file, "problems": [one.record() for one in problems]}
            for file, problems in found.items()
        ]
        print_json({"files": listed, "problems": count})
    for file, problems in found.items() if not as_json else ():
        for one in problems:
            click.echo(one.text)
        if not problems and not quiet:
            click.echo(f"{file}: a scenario")
    return BadInput.exit_code if count else 0


def _problems(file: str) -> list[_Line]:
    try:
        path = path_of(file)
        _, findings = examine(path)
    except BadInput as error:
        text = str(error)
        place = re.match(r"(?:.*?):(\d+): ", text)
        return [_Line(text, int(place[1]) if place else None)]
    return [_Line.of(shown(path), one) for one in findings]
