"""The service daemon's configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.block.target import TargetSettings


@dataclass(frozen=True, kw_only=True)
class ServiceConfig:
    """Settings of one node of the pair.

    Attributes:
        node: Logical name.
        pair: Both nodes; the first serves first.
        joining: Whether this node boots again, into a cluster that goes on.
        confirm: Whether a fence is confirmed before this node serves.
        stops_without_quorum: Whether this node serves no longer once it has no quorum.
        retry_ns: When an unanswered question to the fence service is asked again, nanoseconds.
        interface: The interface that gets the address that moves.
        target: What is served where.
        log: File that the target's output goes to.
        fence: The fence service's Unix socket.
        listen: Unix socket to make, for views and for questions of the run.
        events: The agent's Unix socket.
    """

    node: str
    pair: tuple[str, str]
    joining: bool
    confirm: bool
    stops_without_quorum: bool
    retry_ns: int
    interface: str
    target: TargetSettings
    log: Path
    fence: Path
    listen: Path
    events: Path
