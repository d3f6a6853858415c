"""What an audit of a machine found, as tables for people, as JSON, and as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from crunchbed.report.table import new_table
from crunchbed.risk.cards import CARDS
from crunchbed.risk.daemons import of_process
from crunchbed.risk.finding import SEVERITIES, Finding, Severity
from crunchbed.risk.machine import Interface, Machine, Storage
from crunchbed.risk.need import FLOOR_READ, Need, is_memalloc
from crunchbed.risk.reading import numbers, reading_for
from crunchbed.risk.sockets import SOCKET_USERS
from reserve_agent.exposition import Families, Family
from reserve_agent.metrics import HOST_METRICS

_COLOURS: Final[Mapping[Severity, str]] = {"error": "red", "warning": "yellow", "note": "dim"}
_DRAWS: Final = {
    "always": "always",
    "flagged": "while a memalloc socket exists",
    "small": "so, for at most 256 bytes",
    "never": "NEVER",
}


def print_machine(
    console: Console, machine: Machine, need: Need, findings: Sequence[Finding]
) -> None:
    """Print what was seen, then each finding with its evidence, its rule and a next step."""
    console.print(f"{machine.name}, Linux {machine.kernel}", style="bold", markup=False)
    console.print(f"rules: {_rules(machine.kernel)}", soft_wrap=True, markup=False)
    console.print()
    _print_cards(console, machine)
    _print_users(console, machine)
    _print_memory(console, machine, need)
    for one in findings:
        _print_finding(console, one)
    for path, why in machine.unread.items():
        console.print(f"not read: {path}: {why}", soft_wrap=True, markup=False)
    counts = Counter(one.severity for one in findings)
    told = ", ".join(f"{counts[one]} {one}{'s' * (counts[one] != 1)}" for one in SEVERITIES)
    risk = any(one.is_risk for one in findings)
    console.print(f"{'at risk' if risk else 'no risk found'}: {told}", style="bold", markup=False)


def _rules(kernel: str) -> str:
    """Say which kernel's rules stand for the running one."""
    chosen = reading_for(FLOOR_READ, kernel).version
    unread = "" if numbers(chosen)[:2] == numbers(kernel)[:2] else f"; {kernel} has not been read"
    return f"as read in Linux {chosen}{unread}"


def _print_cards(console: Console, machine: Machine) -> None:
    headings = ("interface", "driver", "state", "draws on the reserve", "source")
    table = new_table(console, headings, overflow="fold")
    for one in machine.interfaces:
        card = CARDS.get(one.driver)
        draws = "not known" if card is None else _DRAWS[card.asks(machine.kernel)]
        source = "-" if card is None else card.reading(machine.kernel).place
        state = "up" if one.up else "down"
        table.add_row(*map(escape, (one.name, one.driver, state, draws, source)))
    if not machine.interfaces:
        table.add_row("-", "none", "-", "-", "-")
    console.print(table)
    console.print()


def _print_users(console: Console, machine: Machine) -> None:
    headings = ("who sends", "what", "memalloc", "source")
    table = new_table(console, headings, overflow="fold")
    for one in (*machine.storages, *machine.lock_users):
        user = SOCKET_USERS[one.user]
        flag = "yes" if is_memalloc(one, machine) else "NO"
        swap = ", with swap" if any(each.storage == one.name for each in machine.swaps) else ""
        source = user.reading(one.version or machine.kernel).place
        table.add_row(escape(one.name), f"{one.user}: {user.what}{swap}", flag, source)
    source = SOCKET_USERS["user space"].reading(machine.kernel).place
    for process in machine.processes:
        daemon = of_process(process.name)
        if daemon is not None:
            table.add_row(escape(process.name), daemon.carries, "NO", source)
    if not table.rows:
        table.add_row("none", "no network storage, no cluster daemon", "-", "-")
    console.print(table)
    console.print()


def _print_memory(console: Console, machine: Machine, need: Need) -> None:
    memory, past = machine.memory, machine.past
    rows = [
        ("vm.min_free_kbytes", _shown(memory.min_free_kib)),
        ("min watermarks, pages", _shown(memory.min_pages)),
        (f"  of the largest zone ({memory.largest_zone})", _shown(memory.largest_min_pages)),
        ("  for memalloc sockets alone (3/8)", _shown(need.given_pages)),
        *((f"  {term.text}", str(term.pages)) for term in need.terms),
        ("needed by memalloc sockets, pages", str(need.pages)),
        ("PFMemallocDrop", _shown(past.pfmemalloc_drops)),
        ("pgscan_direct_throttle", _shown(past.reclaim_throttled)),
        ("failed allocations in the log", _shown(past.failed_allocations)),
        ("oom_kill", _shown(past.oom_kills)),
    ]
    table = new_table(console, ["memory"], ["now"])
    for name, value in rows:
        table.add_row(escape(name), value)
    console.print(table)
    console.print()


def _shown(value: int | None) -> str:
    return "not read" if value is None else str(value)


def _print_finding(console: Console, one: Finding) -> None:
    lines = [one.text, f"seen: {one.seen}", *([f"rule: {one.rule}"] if one.rule else [])]
    lines.append(f"next: {one.next}")
    head = Text(f"{one.severity:8} ", style=_COLOURS[one.severity])
    for line in lines:
        console.print(head.append(line, style="default"), soft_wrap=True)
        head = Text(" " * 9)
    console.print()


def record(machine: Machine, need: Need, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the same for JSON."""
    return {
        **asdict(machine),
        "rules": _rules(machine.kernel),
        "interfaces": [_card_record(one, machine) for one in machine.interfaces],
        "storages": [_user_record(one, machine) for one in machine.storages],
        "need": {**asdict(need), "min_free_kib": need.min_free_kib},
        "findings": [{**asdict(one), "is_risk": one.is_risk} for one in findings],
    }


def _card_record(one: Interface, machine: Machine) -> dict[str, Any]:
    card = CARDS.get(one.driver)
    draws = None if card is None else card.asks(machine.kernel)
    return {**asdict(one), "draws": draws}


def _user_record(one: Storage, machine: Machine) -> dict[str, Any]:
    return {**asdict(one), "memalloc": is_memalloc(one, machine)}


def metrics(machine: Machine, need: Need, findings: Sequence[Finding]) -> Families:
    """Return the same as metrics; what was not read has no series."""
    fixed = {"node": machine.name}
    families = {one.name: Family(one, fixed) for one in HOST_METRICS}
    for severity in SEVERITIES:
        count = sum(one.severity == severity for one in findings)
        families["host_findings"].set(count, severity)
    for one in findings:
        families["host_finding"].set(1, one.kind, one.severity, one.subject)
    for interface in machine.interfaces:
        card = CARDS.get(interface.driver)
        draws = "unknown" if card is None else card.asks(machine.kernel)
        families["host_card"].set(1, interface.name, interface.driver, draws)
    values = {
        "host_reserve_pages": need.given_pages,
        "host_reserve_needed_pages": need.pages,
        "host_pfmemalloc_drops": machine.past.pfmemalloc_drops,
        "host_reclaim_throttled": machine.past.reclaim_throttled,
        "host_allocations_failed": machine.past.failed_allocations,
        "host_files_unread": len(machine.unread),
    }
    for name, value in values.items():
        if value is not None:
            families[name].set(value)
    return Families(families.values())
