"""From a scenario to the configuration files of agents and daemons. Pure, but for the paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crunchbed.backends.common import settings
from crunchbed.backends.common.configs import iscsi_session, portal, target
from crunchbed.backends.common.live_run import LiveRun
from crunchbed.scenario.crunch import FloodCrunch
from crunchbed.scenario.profiles import DEFAULT, profile_for
from crunchbed.scenario.schema import Scenario
from reserve_agent.config import AgentConfig
from reserve_agent.contract.packets import Policy
from reserve_agent.hooks.loader import HookSettings
from topologies.node import ClusterNode


def hook_settings(scenario: Scenario) -> HookSettings:
    """Return policy and port rules of every node's hooks."""
    return HookSettings(
        policy=Policy[scenario.policy.upper()],
        service_ns=scenario.memory.service_time,
        enforce=scenario.enforce,
        softnet_limit=scenario.softnet.limit,
        softnet_cost_ns=scenario.softnet.cost,
        rules=settings.port_rules(scenario),
    )


def agent(run: LiveRun, node: ClusterNode, cgroup: Path, controller: Path | None) -> AgentConfig:
    """Return the configuration of one agent; ``cgroup``: of its node."""
    memory = run.scenario.memory
    profile = profile_for(memory) or DEFAULT
    return AgentConfig(
        node=node.name,
        run=run.run_id,
        scenario=run.scenario.name,
        netns_pid=node.pid,
        interfaces=node.interfaces,
        pages=memory.pages,
        clean=settings.clean_pages(run.scenario),
        reserve=None if memory.reserve == "auto" else memory.reserve,
        settings=hook_settings(run.scenario),
        kernel=profile.kernel,
        card=profile.card,
        controller=controller,
        cgroup=cgroup,
        pins=run.pins / node.name,
        socket=run.of(node.name, "agent"),
        history=run.history(node.name),
    )


def neighbours(nodes: Mapping[str, ClusterNode], name: str, network: str) -> dict[str, str]:
    """Return the hardware address of every other host's interface on a network, by IPv4 address."""
    others = [node for other, node in nodes.items() if other != name]
    links = [link for node in others for link in node.links if link.network == network]
    return {link.ip: link.mac for link in links}


def service(
    scenario: Scenario, state: Path, nodes: Mapping[str, ClusterNode], name: str, incarnation: int
) -> dict[str, Any]:
    """Return what the service daemon of a node is told; ``state``: the run's state directory."""
    served = target(scenario, state, portal(scenario, nodes), name)
    return {
        "node": name,
        "pair": scenario.block_io.pair,
        "joining": incarnation > 0,
        "confirm": scenario.fencing.confirm,
        "stops_without_quorum": scenario.no_quorum == "stop",
        "retry_ns": settings.SERVICE_RETRY_NS,
        "interface": nodes[name].link("storage").interface,
        "target": {
            **asdict(served),
            "disk": str(served.disk),
            "control": str(served.control),
        },
    }


def initiator(scenario: Scenario, address: str, name: str, incarnation: int) -> dict[str, Any]:
    """Return what one node's initiator is told; every node has its own region of the device."""
    block_io = scenario.block_io
    return settings.writeback(scenario, name, incarnation) | {
        "node": name,
        "index": scenario.node_names.index(name),
        "address": address,
        "port": block_io.port,
        "iscsi": iscsi_session(scenario),
        "nbd": dict(block_io.nbd),
    }


def traffic_sink(scenario: Scenario, node: ClusterNode) -> dict[str, Any]:
    """Return what the reader of the background traffic on one node is told."""
    config: dict[str, Any] = {
        "role": "sink",
        "address": node.address("storage"),
        "port": scenario.traffic.port,
    }
    crunch = scenario.crunch
    if isinstance(crunch, FloodCrunch):
        config["stalled"] = {"port": crunch.port, "memalloc": crunch.memalloc}
    return config
