"""Have Mininet make hosts, links and switches."""

from __future__ import annotations

from functools import partial
from typing import Any

from reserve_agent.errors import CrunchbedError, MissingRequirement
from topologies.layout import Layout
from topologies.switches import SwitchKind


def make_net(
    layout: Layout, run_id: str, switch: SwitchKind, controller: tuple[str, int] | None
) -> Any:
    """A network of Mininet's of which nothing exists yet.

    Args:
        layout: what it consists of.
        run_id: goes into what Open vSwitch is told.
        switch: kind of its switches.
        controller: IPv4 address and port of an OpenFlow controller.

    Raises:
        MissingRequirement: no Mininet.
    """
    try:
        from topologies import parts
        from topologies.topo import LayoutTopo
    except ImportError as error:
        raise MissingRequirement("Mininet is not installed: apt-get install mininet") from error
    kind: Any = parts.BridgeSwitch
    if switch != "linux-bridge":
        datapath = "user" if switch == "ovs-user" else "kernel"
        kind = partial(parts.OvsSwitch, run_id=run_id, datapath=datapath, controller=controller)
    return parts.ClusterNet(
        topo=LayoutTopo(layout),
        host=parts.ClusterHost,
        link=parts.ClusterLink,
        switch=kind,
        controller=None,
        build=False,
    )


def start_net(net: Any) -> None:
    """Make it; Mininet reports by log line, exit or exception.

    Raises:
        CrunchbedError: it could not be made; what was made is still there.
    """
    from topologies import parts

    reported: list[str] = []
    with parts.captured_log(reported):
        try:
            net.build()
            net.start()
        except CrunchbedError:
            raise
        except (Exception, SystemExit) as error:
            reason = " ".join([*reported, str(error)]).strip()
            raise CrunchbedError(f"Mininet could not build the network: {reason}") from error
