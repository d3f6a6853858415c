"""Hosts, links and switches of a run, made by Mininet, which is imported here and not before."""

from __future__ import annotations

from functools import partial
from typing import Any

from reserve_agent.errors import CrunchbedError, MissingRequirement
from topologies.layout import Layout
from topologies.switches import SwitchKind


def make_net(
    layout: Layout, run_id: str, switch: SwitchKind, controller: tuple[str, int] | None
) -> Any:
    """Describe a network to Mininet; nothing of it exists yet. Raises MissingRequirement.

    The bridges have ``run_id`` as owner in Open vSwitch's database. ``controller`` is the IPv4
    address and port of an OpenFlow controller.
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
    """Make the network, and turn Mininet's log lines, exits and exceptions into one error.

    Raises:
        CrunchbedError: the network could not be made; the parts made so far still exist.
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
