"""What an audit concludes from the facts that a node's hooks have gathered. Pure.

The reserve is safe only if all who may draw on it are bounded, and only for protocols whose
receive path knows the rules of the reserve. Where that does not hold, there is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from reserve_agent.contract.packets import Limits, Policy
from reserve_agent.hooks.audit import ProtocolSeen, SocketSeen
from reserve_agent.model.policies import all_policies
from reserve_agent.sizing import Throttled

BOUNDED_USERS: Final = {
    "initiator": ("block-io", "block I/O"),
    "heartbeat": ("heartbeat", "heartbeats"),
}
"""Daemons that bound what they have in flight: the class of their sockets, name of the bound."""

Severity = Literal["error", "warning"]
_Unsafe = tuple[Severity, str, str]  # severity, kind and text of a finding


@dataclass(frozen=True)
class User:
    """A process that has a socket."""

    pid: int
    name: str
    daemon: str | None = None  # which of the node's own daemons it is; None for any other process


@dataclass(frozen=True)
class Facts:
    """What a node's agent answers; ``reserve_agent.hooks.audit`` says what each field means."""

    interfaces: tuple[str, ...]
    policy: Policy
    enforce: bool
    block_io_packets: int
    protocols: tuple[ProtocolSeen, ...]
    sockets: tuple[SocketSeen, ...]
    throttled: tuple[Throttled, ...]

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Facts:
        """Read the agent's answer."""
        return cls(
            interfaces=tuple(message["interfaces"]),
            policy=Policy[message["policy"].upper()],
            enforce=message["enforce"],
            block_io_packets=message["block_io_packets"],
            protocols=tuple(ProtocolSeen(**one) for one in message["protocols"]),
            sockets=tuple(SocketSeen(**one) for one in message["sockets"]),
            throttled=tuple(Throttled(**one) for one in message["throttled"]),
        )


@dataclass(frozen=True)
class Finding:
    """Something that makes the reserve unsafe."""

    severity: Severity  # ``error`` where it can harm block I/O or heartbeats
    kind: str  # ``not_throttled``, ``not_memalloc`` or ``not_vm_aware``
    node: str
    text: str


@dataclass(frozen=True)
class AuditedSocket:
    """A socket, who has it, and the bound of what is in flight on it."""

    seen: SocketSeen
    user: User | None  # who has it; None where it is the kernel, or a process that is gone
    bound: str | None  # what its user has in flight at most; None where nobody bounds it

    @property
    def label(self) -> str:
        """``udp 10.0.0.1:7405 of n1 heartbeat (pid 77)``."""
        seen = self.seen
        text = f"{seen.protocol} {_end(seen.local, seen.local_port)}"
        if seen.remote_port:
            text += f" to {_end(seen.remote, seen.remote_port)}"
        user = self.user
        return f"{text} of {'no process' if user is None else f'{user.name} (pid {user.pid})'}"


@dataclass(frozen=True)
class AuditedNode:
    """One node: its facts, its sockets with their users, and findings, the worst first."""

    node: str
    facts: Facts
    sockets: tuple[AuditedSocket, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class AuditedRun:
    """One run."""

    run: str
    nodes: tuple[AuditedNode, ...]  # the run's nodes; none where it has only just begun
    problem: str | None = None  # why the run could not be audited; None where it was

    @property
    def findings(self) -> list[Finding]:
        """The findings of all nodes."""
        return [finding for node in self.nodes for finding in node.findings]


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def audit_node(node: str, facts: Facts, users: Mapping[int, User]) -> AuditedNode:
    """Judge one node; ``users`` are processes by the inode of their socket."""
    sockets = tuple(
        AuditedSocket(seen, user, _bound(seen, user, facts.throttled))
        for seen in facts.sockets
        for user in (users.get(seen.inode),)
    )
    unsafe = [
        *_not_throttled(facts, sockets),
        *_not_memalloc(facts, sockets),
        *_not_vm_aware(facts),
    ]
    findings = (Finding(severity, kind, node, text) for severity, kind, text in unsafe)
    return AuditedNode(node, facts, sockets, tuple(sorted(findings, key=lambda one: one.severity)))


def _bound(seen: SocketSeen, user: User | None, throttled: Sequence[Throttled]) -> str | None:
    """Return the bound that a daemon of the run has declared for its sockets; None for others."""
    if user is None or user.daemon not in BOUNDED_USERS:
        return None
    cls, name = BOUNDED_USERS[user.daemon]
    declared = next((one for one in throttled if one.name == name), None)
    if seen.cls != cls or declared is None:
        return None
    if declared.streamed:
        return f"{declared.in_flight} x {declared.request_bytes} bytes"
    return f"{declared.in_flight} datagrams an interval"


def _honours_flags(policy: Policy) -> bool:
    return all_policies(Limits())[policy].honours_flags


def _not_throttled(facts: Facts, sockets: Sequence[AuditedSocket]) -> Iterator[_Unsafe]:
    severity: Severity = "warning"
    if not _honours_flags(facts.policy):
        harm = f"harmless only as long as the policy is {facts.policy.name.lower()}"
    elif facts.policy is Policy.MEMPOOL:
        harm = "it can empty its own pool only"
    else:
        severity, harm = "error", "it can eat the whole reserve"
    for one in sockets:
        if one.seen.memalloc and one.bound is None:
            text = f"{one.label} is memalloc and nobody bounds what is in flight on it: {harm}"
            yield severity, "not_throttled", text


def _not_memalloc(facts: Facts, sockets: Sequence[AuditedSocket]) -> Iterator[_Unsafe]:
    policy = facts.policy.name.lower()
    for one in sockets if _honours_flags(facts.policy) else ():
        if one.seen.cls == "block-io" and not one.seen.memalloc:
            yield (
                "error",
                "not_memalloc",
                f"{one.label} carries block I/O and is not memalloc: under pressure the policy "
                f"{policy} drops its acknowledgements, and nothing is written that would free "
                f"a page",
            )


def _not_vm_aware(facts: Facts) -> Iterator[_Unsafe]:
    """Find protocols that are not vm-aware; an enforcing node refuses them, so they do no harm."""
    if facts.enforce or not facts.block_io_packets:
        return
    for one in facts.protocols:
        if not one.vm_aware:
            yield (
                "warning",
                "not_vm_aware",
                f"{one.name} is in use on {', '.join(facts.interfaces)}, which carries block I/O "
                f"({one.packets} packets): it is not vm-aware; `enforce: true` refuses it",
            )
