"""``crunchbed validate``: everything that is wrong with scenario files, without a run."""

from __future__ import annotations

import re
from typing import NamedTuple

import click

from crunchbed.cli.output import json_option, print_json
from crunchbed.scenario.loader import examine, path_of
from crunchbed.scenario.problems import dotted
from crunchbed.scenario.profile_file import shown
from reserve_agent.errors import BadInput


class _Line(NamedTuple):
    """One problem, as it is printed; ``key`` is None where the file is no YAML or not there."""

    line: int | None
    key: str | None
    expected: str | None
    got: str | None
    text: str


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
            {"file": file, "problems": [one._asdict() for one in problems]}
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
        found = [(one.line, one.problem) for one in examine(path)[1]]
    except BadInput as error:
        text = str(error)
        place = re.match(r"(?:.*?):(\d+): ", text)
        return [_Line(int(place[1]) if place else None, None, None, None, text)]
    return [
        _Line(line, dotted(one.path), one.expected, one.got, f"{shown(path)}:{line}: {one}")
        for line, one in found
    ]
