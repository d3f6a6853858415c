"""The service daemon's configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.block.target import TargetSettings


@dataclass(frozen=True, kw_only=True)
class ServiceConfig:
    """Settings of one node of the pair.

    Attributes:
        pair: Both nodes; the first serves first.
        joining: Whether this node boots again, into a cluster that goes on.
        confirm: Whether a fence is confirmed before this node serves.
        retry_ns: When an unanswered question to the fence service is asked again, nanoseconds.
        interface: The interface that gets the address that moves.
        target: What is served where; its output goes to ``log``.
        fence: The fence service's Unix socket; ``events`` is the agent's.
        listen: Unix socket to make, for views and for questions of the run.
    """

    node: str
    pair: tuple[str, str]
    joining: bool
    confirm: bool
    retry_ns: int
    interface: str
    target: TargetSettings
    log: Path
    fence: Path
    listen: Path
    events: Path
