"""The configuration of a run's controller: one JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reserve_agent.contract.packets import PortRule
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.wiring import Network


@dataclass(frozen=True)
class ControllerConfig:
    """One run's controller.

    Attributes:
        run: Run id.
        listen: IPv4 address and TCP port for the switches.
        control: Unix socket for the run's questions and the agents' pressure messages.
        network: Switches, hosts, links.
        classes: Which class a port means; the hooks' own rules.
        shed: What is done to traffic toward a node under pressure.
        history: File of JSON lines that the controller writes.
    """

    run: str
    listen: tuple[str, int]
    control: Path
    network: Network
    classes: tuple[PortRule, ...]
    shed: Shed
    history: Path
