"""``crunchbed crunch`` and ``crunchbed link``: do something to a cluster that is held open."""

from __future__ import annotations

import math
import re
from typing import Any, Final, NamedTuple

import click

from crunchbed.cli.live_run import chosen_run, of_run
from crunchbed.cli.output import json_option, say
from crunchbed.live import runs
from crunchbed.live.summary import NodeSummary, read_summary
from crunchbed.run.held.scenario import LONGEST
from crunchbed.scenario.kinds import require_known
from crunchbed.scenario.units import DURATION_HINT, duration_ns, format_duration
from nodes.waiting import wait_until
from reserve_agent.errors import BadInput, CrunchbedError

_KINDS: Final = ("timed", "writeback", "flood")
_OPTIONS: Final = {
    "timed": {"length": "--for", "depth": "--depth", "count": "--count", "every": "--every"},
    "writeback": {"pages": "--pages", "rate": "--rate"},
    "flood": {"duration": "--for", "rate": "--rate", "size": "--size"},
}
"""By kind of crunch: the option that sets each key of the scenario's ``crunch``."""

_LONGEST_WAIT_SECONDS = 86_400.0
_LONGEST_NS: Final = duration_ns(LONGEST)
_LINK_SECONDS = 10.0
_POLL_SECONDS = 0.1


@click.command()
@click.argument("node")
@click.option("--kind", default="timed", show_default=True, help=f"{', '.join(_KINDS)}.")
@click.option("--for", metavar="TIME", help="timed, flood: how long, such as 200ms; at most 3600s.")
@click.option("--depth", type=float, help="timed: share of the reserve that is gone; 0.5.")
@click.option("--count", type=int, help="timed: so many windows of that length; 1.")
@click.option("--every", metavar="TIME", help="timed: one window in each such period.")
@click.option("--pages", type=int, help="writeback: what the tasks want in all; 12000.")
@click.option("--rate", type=int, help="writeback: pages, flood: packets a second.")
@click.option("--size", metavar="SIZE", help="flood: payload of a packet; 64B.")
@click.option("--no-wait", is_flag=True, help="Return when it begins.")
@json_option
@of_run
def crunch(
    node: str, kind: str, no_wait: bool, as_json: bool, run_id: str | None, **options: Any
) -> None:
    """Take the memory of NODE away, in a cluster that `crunchbed up` holds open.

    Returns when it is over and says what came of it. What is left out is the scenario format's
    default (docs/scenario-format.md).

    \b
    Examples:
      crunchbed crunch n1 --kind timed --for 200ms
      crunchbed crunch n1 --for 50us --count 100 --every 10ms
      crunchbed crunch n2 --kind writeback --pages 20000
      crunchbed crunch n3 --kind flood --for 3s --rate 6000
      crunchbed crunch n1 --for 200ms --json | jq .heartbeats_missed
    """  # noqa: D301 - \b is click's
    settings = _settings(kind, options)
    run = chosen_run(run_id)
    before = read_summary(run).nodes if runs.is_held(run) else {}
    try:
        told = runs.tell(run, "crunch", target=node, crunch=settings)
    except BadInput as error:
        raise BadInput(_in_options(str(error), kind)) from None
    done = {"run": run, "node": node, "kind": kind, "crunch_requested": told["requested"]}
    if no_wait:
        text = f"{node} of run {run}: {kind} crunch begun"
        say(text, {**done, "over": False}, as_json=as_json)
        return
    found = outcome(node, before, _after(run, node))
    figures = {"over": True, **found._asdict()}
    say(f"{node} of run {run}: {found.text(node)}", {**done, **figures}, as_json=as_json)


def _after(run: str, node: str) -> dict[str, NodeSummary]:
    """Wait until the crunch of a node is over; return the states of the run's nodes then."""
    wait_until(
        lambda: runs.tell(run, "status")["nodes"][node]["crunch"] is None,
        _LONGEST_WAIT_SECONDS,
        f"the end of the crunch of {node}",
        interval=_POLL_SECONDS,
    )
    nodes = read_summary(run).nodes
    if node not in nodes:
        raise CrunchbedError(f"run {run} has ended")
    return nodes


def _settings(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the scenario's ``crunch`` for these options; BadInput where the kind has none such."""
    require_known(kind, _KINDS, "kind")
    if kind == "timed" and options["for"] is None:
        raise BadInput(f"--for: expected {DURATION_HINT} with --kind timed, got nothing")
    depth = options["depth"]
    if depth is not None and not math.isfinite(depth):  # JSON has no such number
        raise BadInput(f"--depth: expected a number from 0 to 1, got {depth:g}")
    length, every = _duration(options, "for"), _duration(options, "every")
    keys = {option.removeprefix("--"): key for key, option in _OPTIONS[kind].items()}
    settings: dict[str, Any] = {"kind": kind}
    for name, value in options.items():
        if value is None:
            continue
        if name not in keys:
            raise BadInput(f"--{name}: expected another --kind than {kind}")
        settings[keys[name]] = value
    _must_end(kind, length, every, options["count"])
    return settings


def _duration(options: dict[str, Any], name: str) -> int | None:
    """Return the option's nanoseconds; None where the option is not given."""
    text = options[name]
    if text is None:
        return None
    try:
        found = duration_ns(text)
    except ValueError:
        raise BadInput(f"--{name}: expected {DURATION_HINT}, got {text!r}") from None
    if found > _LONGEST_NS:
        raise BadInput(f"--{name}: expected at most {LONGEST}, got {text!r}")
    return found


def _must_end(kind: str, length: int | None, every: int | None, count: int | None) -> None:
    """Refuse a crunch that is longer than an inject phase can be."""
    if kind == "flood" and length == _LONGEST_NS:
        raise BadInput(f"--for: expected less than {LONGEST} with --kind flood, got {LONGEST}")
    needed = (count or 1) * (every or length or 0)
    if kind == "timed" and needed > _LONGEST_NS:
        got = f"{count} windows that need {format_duration(needed)}"
        raise BadInput(f"--count: expected all windows within {LONGEST}, got {got}")


def _in_options(text: str, kind: str) -> str:
    """Word what is wrong with a key of the scenario as wrong with the option that has set it."""
    match = re.match(r"override crunch(?:\.\w+)?\.(\w+): ", text)
    option = _OPTIONS[kind].get(match[1]) if match else None
    return text if match is None or option is None else f"{option}: {text[match.end() :]}"


class Outcome(NamedTuple):
    """What a crunch has done; the pressure on a node that was cut off is not known."""

    pressure_seconds: float | None
    pressure_episodes: int | None
    heartbeats_missed: int
    nodes_ejected: int
    ejected: tuple[str, ...]

    def text(self, node: str) -> str:
        """Return the outcome of a crunch of ``node`` as a phrase."""
        if node in self.ejected:
            pressure = "it was cut off"
        elif self.pressure_episodes:
            times = "" if self.pressure_episodes == 1 else f" in {self.pressure_episodes} episodes"
            pressure = f"{self.pressure_seconds:.6f} s of pressure{times}"
        else:
            pressure = "no pressure"
        ejected = f"ejected: {', '.join(self.ejected)}" if self.ejected else "nobody ejected"
        return f"{pressure}, {self.heartbeats_missed} heartbeats missed, {ejected}"


def outcome(node: str, before: dict[str, NodeSummary], after: dict[str, NodeSummary]) -> Outcome:
    """Return what a crunch of ``node`` has done, from the states before and after it."""
    both = [name for name in after if name in before]
    misses = sum(after[name].misses - before[name].misses for name in both)
    ejected = tuple(name for name in both if after[name].boots > before[name].boots)
    seconds = episodes = None
    if node not in ejected:
        seconds = (after[node].pressure_ns - before[node].pressure_ns) / 1e9
        episodes = after[node].pressure_episodes - before[node].pressure_episodes
    return Outcome(seconds, episodes, misses, len(ejected), ejected)


@click.command()
@click.argument("node")
@click.argument("state")
@click.option(
    "--network",
    metavar="NAME",
    help="Only the link to this network: cluster or storage of a split topology, a or b of a "
    "redundant one; by default all links.",
)
@json_option
@of_run
def link(node: str, state: str, network: str | None, as_json: bool, run_id: str | None) -> None:
    """Set the switch port of NODE down or up, in a cluster that `crunchbed up` holds open.

    NODE is a node such as n1, or storage; STATE is down or up. Returns when packets pass again.

    \b
    Examples:
      crunchbed link n1 down
      crunchbed link n1 up
      crunchbed link n2 down --network a
      crunchbed link n2 up --network a --json | jq .link
    """  # noqa: D301 - \b is click's
    if state not in ("up", "down"):
        raise BadInput(f"expected down or up, got {state!r}")
    run = chosen_run(run_id)
    runs.tell(run, "link", target=node, up=state == "up", network=network)
    link = runs.COMING_UP

    def settled() -> bool:
        nonlocal link
        told = runs.tell(run, "status")
        link = {**told["nodes"], "storage": told["storage"]}[node]["link"]
        return runs.COMING_UP not in link

    wait_until(settled, _LINK_SECONDS, f"packets pass to {node}", interval=_POLL_SECONDS)
    where = "" if network is None else f" to {network}"
    say(
        f"the link of {node}{where} of run {run} is {state}",
        {"run": run, "node": node, "network": network, "state": state, "link": link},
        as_json=as_json,
    )
