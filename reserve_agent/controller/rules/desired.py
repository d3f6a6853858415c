"""From network, classes, settings and pressure to what every switch should hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reserve_agent.controller.network import Network
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import SwitchState
from reserve_agent.port_rule import PortRule


def desired_state(
    network: Network,
    classes: Collection[PortRule],
    shed: Shed,
    pressure: Collection[str] = (),
    down: Collection[tuple[str, int]] = (),
) -> Mapping[int, SwitchState]:
    """What every switch should hold, by datapath id.

    Args:
        network: Switches, hosts, links.
        classes: Which class a port means.
        shed: What is done to traffic toward a node under pressure.
        pressure: Names of the nodes that are under pressure now.
        down: Ports (switch, number) that are known to be down: floods go around them.
    """
    raise NotImplementedError
