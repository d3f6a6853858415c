"""The cost of each hook for a packet: BPF_PROG_TEST_RUN of the hook and of an empty program.

A round measures all cells one after the other, so that a machine that is slow for a while slows all
of them. The figure of a cell is its time less that of the empty program of the same kind in the
same round. Everything is in the caches, the lock is never contended, and all packets arrive at
once: on a wire a packet costs somewhat more.

Far from R a packet is counted and not booked (``reserve_agent/model/border.py``), except under
``softnet``, whose queue counts every packet; near R and under pressure all are booked. For the
state ``near R`` the hooks are loaded with a border above all pages, since the packets of a run come
faster than any network brings them.

The kernel gives these runs a socket that is not marked as memalloc. So, under pressure and a policy
that requires the mark, ``cb_deliver`` drops the packets and writes each into the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.table import Table

from bench.spread import Spread, coloured
from reserve_agent.contract.packets import PacketClass, Policy, PortRule
from reserve_agent.errors import CrunchbedError
from reserve_agent.hooks import libbpf
from reserve_agent.hooks.layout import MARK_CHARGED, MARK_FROM_RESERVE, MARK_PAGES_SHIFT
from reserve_agent.hooks.loader import HookSettings, NodeHooks
from reserve_agent.hooks.profile import constants_of
from reserve_agent.model.border import NS_PER_PAGE
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005
from reserve_agent.pool_handle import PoolHandle
from tests.system import frames

GOAL_NS = 30
EMPTY_PATH = Path(__file__).resolve().parents[1] / "build" / "empty.bpf.o"
ROUNDS, REPEAT = 15, 50_000
TOTAL, RESERVE, CLEAN = 1 << 17, 1 << 16, 1024  # room for the pages of 50,000 packets at once
BLOCK, BEAT = 10809, 7405
SETTINGS = HookSettings(
    Policy.NONE,
    rules=(
        PortRule(BLOCK, frames.TCP, PacketClass.BLOCK_IO),
        PortRule(BEAT, frames.UDP, PacketClass.HEARTBEAT),
    ),
)
HOOKS = {"cb_receive": "empty_tc", "cb_deliver": "empty_cgroup_skb", "cb_transmit": "empty_tc"}
PARTS = ("clock", "lock", "storage")
PACKETS = {
    "block-io": frames.frame(
        frames.IP, frames.ipv4(frames.TCP, frames.tcp(40000, BLOCK, 1, 1, bytes(1000)))
    ),
    "heartbeat": frames.frame(
        frames.IP, frames.ipv4(frames.UDP, frames.udp(BEAT, BEAT, bytes(64)))
    ),
}
FAR, NEAR, PRESSURE = "far from R", "near R", "pressure"
STATES: Final = {FAR: NS_PER_PAGE, NEAR: 1, PRESSURE: NS_PER_PAGE}
"""With how many nanoseconds for a page of the border the hooks are loaded."""


@dataclass(frozen=True)
class Cell:
    """One measurement: the pool's state, a hook, a packet and a policy."""

    state: str
    hook: str
    packet: str
    policy: Policy


def cells() -> Iterator[Cell]:
    """All cells, in the order of a round."""
    for state in STATES:
        for hook in HOOKS:
            for packet in PACKETS:
                for policy in Policy:
                    yield Cell(state, hook, packet, policy)


def _time(run: libbpf.TestRun, packet: str, mark: int = 0) -> int:
    run.set_frame(PACKETS[packet])
    run.context.mark = mark
    run(REPEAT)
    return run.duration_ns


class Hooks:
    """The hooks of one node, without a network."""

    def __init__(self, ns_per_page: int) -> None:
        fixed = constants_of(PROPOSAL_2005)
        fixed.ns_per_page = ns_per_page
        self._hooks = NodeHooks(fixed)
        self._hooks.configure(SETTINGS)
        self._pool = PoolHandle.of(self._hooks)
        self._pool.resize(TOTAL, RESERVE)
        self._runs = {name: libbpf.TestRun(self._hooks.program_fd(name)) for name in HOOKS}

    def measure(self, cell: Cell) -> int:
        """Nanoseconds a packet, including the time of an empty program."""
        config = self._hooks.config
        config.policy = cell.policy
        # These packets come faster than the softnet queue of 2005 could be emptied.
        config.softnet_cost_ns = SETTINGS.softnet_cost_ns if pressed(cell) else 0
        self._pool.reset(CLEAN)
        if pressed(cell):
            self._pool.dirty(TOTAL)
        took = _time(self._runs[cell.hook], cell.packet, _mark(cell))
        if cell.hook == "cb_receive":
            self._check(cell)
        return took

    def _check(self, cell: Cell) -> None:
        """Raise if packets were booked that should not be, or were not that should."""
        if not pressed(cell) and counted_only(cell) == bool(self._pool.state.running.pages):
            raise CrunchbedError(f"{cell}: {self._pool.state.running.pages} pages on the books")

    def close(self) -> None:
        """Unload them."""
        self._hooks.close()


def pressed(cell: Cell) -> bool:
    """Whether memory is short, so that packets may be dropped."""
    return cell.state == PRESSURE


def counted_only(cell: Cell) -> bool:
    """Whether a received packet is not booked: what the goal is for."""
    return cell.state == FAR and cell.policy is not Policy.SOFTNET


def _mark(cell: Cell) -> int:
    """What receive would have told deliver."""
    if cell.hook != "cb_deliver":
        return 0
    mark = 1 << MARK_PAGES_SHIFT | PacketClass.BLOCK_IO
    if not counted_only(cell):
        mark |= MARK_CHARGED
    return mark | (MARK_FROM_RESERVE if pressed(cell) else 0)


class Programs:
    """The hooks by their border, and the programs that are no hooks."""

    def __init__(self) -> None:
        self._hooks = {each: Hooks(each) for each in set(STATES.values())}
        self._empty = libbpf.BpfObject(EMPTY_PATH)
        self._empty.load()
        others = (*set(HOOKS.values()), *PARTS)
        self._others = {name: libbpf.TestRun(self._empty.program_fd(name)) for name in others}

    def other(self, name: str, packet: str = "block-io") -> int:
        """Nanoseconds of a program that is not a hook: an empty one, or one of ``PARTS``."""
        return _time(self._others[name], packet)

    def measure(self, cell: Cell) -> int:
        """Nanoseconds a packet, including the time of an empty program."""
        return self._hooks[STATES[cell.state]].measure(cell)

    def close(self) -> None:
        """Unload everything."""
        for hooks in self._hooks.values():
            hooks.close()
        self._empty.close()


class Result(NamedTuple):
    """Nanoseconds over an empty program of the same kind.

    Attributes:
        cells: of every cell.
        parts: of one clock read, one lock and one look into socket storage alone.
    """

    cells: dict[Cell, Spread]
    parts: dict[str, Spread]


def run(rounds: int) -> Result:
    """Measure every cell, and the parts that no rule can avoid, in every round."""
    programs = Programs()
    found: dict[Cell, list[float]] = {cell: [] for cell in cells()}
    parts: dict[str, list[float]] = {name: [] for name in PARTS}
    try:
        for _ in range(rounds):
            empty = {name: programs.other(name) for name in set(HOOKS.values())}
            for name, values in parts.items():
                values.append(programs.other(name) - empty["empty_tc"])
            for cell, values in found.items():
                values.append(programs.measure(cell) - empty[HOOKS[cell.hook]])
    finally:
        programs.close()
    return Result(
        {cell: Spread.of(values) for cell, values in found.items()},
        {name: Spread.of(values) for name, values in parts.items()},
    )


def table(result: Result) -> Table:
    """One row for a state, hook and packet; one column for a policy."""
    shown = Table(
        title=f"Nanoseconds a packet over an empty program; goal {FAR}: at most {GOAL_NS}",
        caption="median (quartiles); one call of each alone: "
        + ", ".join(f"{name} {spread.shown()}" for name, spread in result.parts.items()),
    )
    for heading in ("pool", "hook", "packet"):
        shown.add_column(heading)
    for policy in Policy:
        shown.add_column(policy.name.lower(), justify="right")
    rows: dict[tuple[str, str, str], list[str]] = {}
    for cell, spread in result.cells.items():
        row = rows.setdefault((cell.state, cell.hook, cell.packet), [])
        shown_as, good = spread.shown(), spread.median <= GOAL_NS
        row.append(coloured(shown_as, good=good) if counted_only(cell) else shown_as)
    for heading_of, figures in rows.items():
        shown.add_row(*heading_of, *figures)
    return shown


def as_dict(result: Result) -> dict[str, Any]:
    """For the JSON file."""
    return {
        "unit": "ns over an empty program",
        "goal": GOAL_NS,
        "parts": result.parts,
        "cells": [
            {**asdict(cell), "policy": cell.policy.name.lower(), **asdict(spread)}
            for cell, spread in result.cells.items()
        ],
    }
