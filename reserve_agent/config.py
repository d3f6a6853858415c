"""The configuration of a node's agent: one JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reserve_agent.hooks.loader import HookSettings


@dataclass(frozen=True)
class AgentConfig:
    """One node's agent.

    Attributes:
        node: Logical name, such as ``n1``.
        run: Run id, for the info metric.
        scenario: Scenario name, for the info metric.
        netns_pid: A process in the node's network namespace.
        interfaces: The node's interfaces that carry the hooks.
        cgroup: The node's cgroup (version 2).
        pins: Directory in bpffs for what the node's daemons use.
        socket: Unix socket for events and commands.
        history: File of JSON lines that this agent writes.
        pages: Total pages of the pool.
        clean: Pages used by tasks from the start.
        reserve: Pages under the min watermark; None lets it follow what is attached.
        settings: Policy, service time and port rules of the hooks.
        controller: Unix socket of the controller, which is told of the node's memory pressure; None
            where there is none, or nothing is shed.
    """

    node: str
    run: str
    scenario: str
    netns_pid: int
    interfaces: tuple[str, ...]
    cgroup: Path
    pins: Path
    socket: Path
    history: Path
    pages: int
    clean: int
    reserve: int | None
    settings: HookSettings
    controller: Path | None = None
