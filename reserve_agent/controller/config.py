"""The configuration of a run's controller: one JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.wiring import Network
from reserve_agent.errors import BadInput


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

    def to_json(self) -> bytes:
        """The file that ``load`` reads."""
        return orjson.dumps(self, default=str, option=orjson.OPT_INDENT_2)

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(self.to_json())

    @classmethod
    def load(cls, path: Path) -> ControllerConfig:
        """Read the file that the run wrote.

        Raises:
            BadInput: it is not such a file.
        """
        try:
            values: dict[str, Any] = orjson.loads(path.read_bytes())
            values["network"] = Network.from_json(values["network"])
            values["classes"] = tuple(
                PortRule(rule["port"], rule["protocol"], PacketClass(rule["cls"]), rule["flags"])
                for rule in values["classes"]
            )
            values["shed"] = Shed.from_json(values["shed"])
            address, port = values["listen"]
            values["listen"] = (str(address), int(port))
            for name in ("control", "history"):
                values[name] = Path(values[name])
            return cls(**values)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path}: not a controller's configuration: {error}") from error
