"""The configuration of a node's agent: one JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reserve_agent.hooks.loader import HookSettings
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005


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
        kernel: Profile of the node's kernel, and
        card: of its network card; None where the kernel profile has no buffers.
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
    kernel: Kernel = PROPOSAL_2005
    card: Card | None = None
    controller: Path | None = None
