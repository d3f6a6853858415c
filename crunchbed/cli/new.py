"""``crunchbed new``: a scenario of one's own, to begin with."""

from __future__ import annotations

import re
from pathlib import Path

import click

from crunchbed.cli.output import DIRECTORY
from crunchbed.scenario.loader import load, load_file, path_of
from reserve_agent.errors import BadInput, CrunchbedError

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TEMPLATE = """\
name: {name}
claim: >-
  Say in one sentence what a run is to show: who is short of memory, for how long, and what becomes
  of whom.
# source: where the claim comes from: an incident, a thread, a paper.

# Only name and claim are required. Every key with its unit, bounds and default:
# docs/scenario-format.md
cluster:
  nodes: 3
  port_rate: 50Mbit       # each node's port
heartbeat:
  interval: 100ms
  misses: 5               # a node is suspected after interval x misses

memory:
  pages: 16384            # of 4 KiB
  clean: 8192             # used by tasks from the start
  reserve: auto           # what its sockets need; `crunchbed reserve size {file}`
block_io:
  queue_depth: 16
  request: 16KiB
  dirty_rate: 300         # pages a second that a node always writes
traffic:
  rate: 2500              # packets a second that nobody throttles

# Tasks on n1 want 12,000 pages at once. Other kinds: timed (windows without a free page) and flood.
crunch:
  kind: writeback
  target: n1
  pages: 12000
  rate: 100000000
  jitter: 200ms

# Beside it, or instead of it:
# faults:
#   - {{kind: link-down, target: n2, after: 1s, for: 2s}}

# Held against every run. A figure with a policy in front is that policy's. Try it:
#   crunchbed compare {file} --policies none,memalloc
expect:
  - none.false_ejections >= 1
  - memalloc.nodes_ejected == 0
  - writes_lost == 0
"""


@click.command()
@click.argument("name")
@click.option("--from", "origin", metavar="SCENARIO", help="Begin with a copy of this one.")
@click.option(
    "--dir", "directory", type=DIRECTORY, default=Path(), help="Where to put it; by default here."
)
def new(name: str, origin: str | None, directory: Path) -> None:
    """Write NAME.yaml, a scenario to begin with.

    \b
    Examples:
      crunchbed new backup-night
      crunchbed new our-token --from long-crunch --dir scenarios
    """  # noqa: D301 - \b is click's
    if _NAME.fullmatch(name) is None:
        raise BadInput(f"{name}: expected lower-case words joined by -, such as backup-night")
    path = directory / f"{name}.yaml"
    if origin is not None:
        load(origin)  # what is wrong with it is told of it, and not of its copy
    text = _TEMPLATE.format(name=name, file=path) if origin is None else _copy(origin, name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadInput(f"{path}: is there already; it is left as it is") from None
    except OSError as error:
        raise CrunchbedError(f"{path}: cannot be written: {error.strerror}") from error
    load_file(path)
    click.echo(f"{path}: edit it, then `crunchbed compare {path}`")


def _copy(origin: str, name: str) -> str:
    path = path_of(origin)
    text = path.read_text(encoding="utf-8-sig")  # a byte order mark is no part of the first line
    renamed, count = re.subn(r"(?m)^name:.*$", f"name: {name}", text, count=1)
    if not count:
        raise BadInput(f"{path}: expected a line that begins with name:")
    return renamed
