"""What puts a machine at risk when its memory is short, each with its evidence and a next step."""

from __future__ import annotations

from collections.abc import Iterator

from crunchbed.risk.cards import CARDS, Card
from crunchbed.risk.daemons import Daemon, of_process
from crunchbed.risk.finding import SEVERITIES, Finding, Severity
from crunchbed.risk.machine import Interface, Machine, Process, Storage
from crunchbed.risk.need import FLOOR_READ, is_memalloc, need_of
from crunchbed.risk.past import past_findings
from crunchbed.risk.reading import reading_for
from crunchbed.risk.sockets import SOCKET_USERS

_USER_SPACE = SOCKET_USERS["user space"]
_UNFLAGGED = (
    "in a crunch its acknowledgement finds no page or is dropped, and what it has to write stays "
    "dirty"
)


def findings_of(machine: Machine) -> list[Finding]:
    """Return all findings, the worst first."""
    found = [
        *_swaps(machine),
        *_storages(machine),
        *_cards(machine),
        *_reserve(machine),
        *_locks(machine),
        *_daemons(machine),
        *past_findings(machine),
    ]
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def rule_of(storage: Storage, machine: Machine) -> str:
    """Return the line that flags the storage's sockets, or does not."""
    return SOCKET_USERS[storage.user].reading(storage.version or machine.kernel).place


def _swaps(machine: Machine) -> Iterator[Finding]:
    by_name = {one.name: one for one in machine.storages}
    for swap in machine.swaps:
        if swap.storage is None:
            continue
        storage = by_name[swap.storage]
        where = f"swap {swap.name} is on {storage.name} ({storage.user})"
        if is_memalloc(storage, machine):
            yield Finding(
                *("warning", "swap_on_network", swap.name),
                f"{where}: a page is free only when the network has acknowledged it; the socket is "
                f"memalloc, so this ends well only with a card that draws on a reserve that is "
                f"large enough",
                swap.seen,
                "put swap on a disk of this machine; else see that nothing else is found here",
                rule_of(storage, machine),
            )
        else:
            yield Finding(
                *("error", "swap_not_memalloc", swap.name),
                f"{where}, whose socket is not memalloc: reclaim can wait for ever for a page that "
                f"the acknowledgement needs",
                swap.seen,
                "put swap on a disk of this machine (swapoff, then swapon there)",
                rule_of(storage, machine),
            )


def _storages(machine: Machine) -> Iterator[Finding]:
    for one in machine.storages:
        if one.user == "wireguard":
            yield _tunnel(one, machine)
        elif not is_memalloc(one, machine):
            user = SOCKET_USERS[one.user]
            yield Finding(
                *("warning", "storage_not_memalloc", one.name),
                f"{one.name} ({one.user}, {user.what}) sends by a socket that is not memalloc: "
                f"{_UNFLAGGED}",
                one.seen,
                _next_of(one),
                rule_of(one, machine),
            )


def _next_of(storage: Storage) -> str:
    if storage.user == "drbd":
        return "DRBD 9.2.13 and later flag their sockets; else lower vm.dirty_bytes"
    return "keep little dirty for it (vm.dirty_bytes), and no swap on it; raise vm.min_free_kbytes"


def _tunnel(storage: Storage, machine: Machine) -> Finding:
    memalloc = (one for one in machine.storages if is_memalloc(one, machine))
    others = [one.name for one in memalloc if one.user != "wireguard"]
    return Finding(
        *("warning" if others else "note", "not_throttled", storage.name),
        f"{storage.name} has a memalloc socket, and nobody bounds who sends to its port: a flood "
        f"can take the reserve" + (f" that is there for {', '.join(others)}" if others else ""),
        storage.seen,
        "limit the packets to its port before the socket (nftables, or the switch)",
        rule_of(storage, machine),
    )


def _cards(machine: Machine) -> Iterator[Finding]:
    users = [one.name for one in machine.storages if is_memalloc(one, machine)]
    swapped = any(swap.storage in users for swap in machine.swaps)
    severity: Severity = "error" if swapped else "warning" if users else "note"
    depends = f", and {', '.join(users)} can need it" if users else ""
    for one in machine.interfaces:
        card = CARDS.get(one.driver)
        told = _unread_card(one) if card is None else _read_card(one, card, machine.kernel)
        if one.up and told is not None:
            kind, text, next_ = told
            yield Finding(
                severity if kind == "card_never_draws" or not users else "warning",
                *(kind, one.name, text + depends),
                f"/sys/class/net/{one.name}/device/uevent DRIVER={one.driver}",
                next_,
                "" if card is None else card.reading(machine.kernel).place,
            )


_Told = tuple[str, str, str]  # kind and text of a finding, and what to do


def _unread_card(one: Interface) -> _Told:
    return (
        "card_not_known",
        f"nobody has read whether {one.driver} ({one.name}) draws on the reserve",
        "in its source, does dev_alloc_page, netdev_alloc_skb or napi_alloc_skb fill its ring?",
    )


def _read_card(one: Interface, card: Card, kernel: str) -> _Told | None:
    match card.asks(kernel):
        case "never":
            note = f" ({card.note})" if card.note else ""
            return (
                "card_never_draws",
                f"{one.driver} ({one.name}) never draws on the reserve{note}",
                "block I/O over a card that draws on it: in a guest e1000e, vmxnet3 or igb",
            )
        case "small":
            return (
                "card_draws_small_only",
                f"{one.driver} ({one.name}) draws on the reserve for small packets alone, and "
                f"larger ones empty its ring",
                "bulk traffic over another card",
            )
        case _:
            return None


def _reserve(machine: Machine) -> Iterator[Finding]:
    need, memory = need_of(machine), machine.memory
    if need.is_short:
        yield Finding(
            *("warning", "reserve_too_small", "vm.min_free_kbytes"),
            f"memalloc sockets here need {need.pages} pages, and {need.given_pages} are theirs "
            f"alone (3/8 of the min watermarks, {memory.min_pages} pages)",
            f"/proc/sys/vm/min_free_kbytes {memory.min_free_kib}; /proc/zoneinfo min "
            f"{memory.min_pages} in all",
            f"sysctl vm.min_free_kbytes={need.min_free_kib}",
            reading_for(FLOOR_READ, machine.kernel).place,
        )


def _locks(machine: Machine) -> Iterator[Finding]:
    for one in machine.lock_users:
        yield Finding(
            *("warning", "locks_not_memalloc", one.name),
            f"{one.name} ({one.user}, {SOCKET_USERS[one.user].what}) sends by sockets that are not "
            f"memalloc: a node in a crunch answers no lock, and the others wait or fence it",
            one.seen,
            "time-outs longer than the longest crunch; raise vm.min_free_kbytes",
            rule_of(one, machine),
        )


def _daemons(machine: Machine) -> Iterator[Finding]:
    block = [one.name for one in machine.storages if one.user != "wireguard"]
    severity: Severity = "warning" if block else "note"
    beside = f"; {', '.join(block)} can bring a crunch that lasts" if block else ""
    by_network = any(swap.storage is not None for swap in machine.swaps)
    for one in machine.processes:
        daemon = of_process(one.name)
        if daemon is None or daemon.by == "corosync":  # the finding is that of corosync
            continue
        yield Finding(
            *(severity, "daemon_not_memalloc", one.name),
            f"{one.name} ({daemon.carries}) {_why(daemon)}; its peers wait {daemon.patience}"
            + beside,
            f"/proc/{one.pid}/comm {one.name}",
            "a time-out longer than the longest crunch, which `crunchbed run` can measure",
            _USER_SPACE.reading(machine.kernel).place if daemon.by == "socket" else "",
        )
        if machine.swaps and one.locked_kib == 0:
            yield _not_locked(one, "warning" if by_network else "note")


def _why(daemon: Daemon) -> str:
    if daemon.by == "disk":
        return "goes to the disk from user space: while the disk stands still, so does it"
    return "has sockets of user space, which cannot be memalloc: in a crunch it hears nothing"


def _not_locked(one: Process, severity: Severity) -> Finding:
    return Finding(
        *(severity, "daemon_not_locked", one.name),
        f"{one.name} has no memory locked, and this machine swaps: it can wait for its own pages",
        f"/proc/{one.pid}/status VmLck 0 kB",
        "have it lock its memory (mlockall), or MemorySwapMax=0 in its unit",
    )
