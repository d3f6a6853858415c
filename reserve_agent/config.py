"""The configuration of a node's agent: one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.contract.packets import PacketClass, Policy, PortRule
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

    def to_json(self) -> bytes:
        """The file that ``load`` reads."""
        return orjson.dumps(self, default=str, option=orjson.OPT_INDENT_2)

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(self.to_json())

    @classmethod
    def load(cls, path: Path) -> AgentConfig:
        """Read the file that the run wrote."""
        values: dict[str, Any] = orjson.loads(path.read_bytes())
        values["settings"] = _settings(values["settings"])
        values["interfaces"] = tuple(values["interfaces"])
        if values.get("controller") is not None:
            values["controller"] = Path(values["controller"])
        for name in ("cgroup", "pins", "socket", "history"):
            values[name] = Path(values[name])
        return cls(**values)


def _settings(values: Mapping[str, Any]) -> HookSettings:
    rules = tuple(
        PortRule(rule["port"], rule["protocol"], PacketClass(rule["cls"]), rule["flags"])
        for rule in values["rules"]
    )
    return HookSettings(**{**values, "policy": Policy(values["policy"]), "rules": rules})
