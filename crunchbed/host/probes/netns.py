"""Probes of the network: each really makes the thing, in a network namespace that ends with it."""

from __future__ import annotations

from crunchbed.host.probes.machine import NOT_TRIED, Machine, Seen
from crunchbed.host.probes.system import Probe


def in_new_namespace(*argv: str) -> Probe:
    """Whether a command works in an empty network namespace of its own."""

    def probe(machine: Machine) -> Seen:
        if machine.euid() != 0:
            return NOT_TRIED
        answer = machine.run(("unshare", "--net", *argv))
        return Seen(answer.ok, "made one" if answer.ok else answer.reason)

    return probe


def qdisc(*kind: str) -> Probe:
    """Whether the kernel has a queueing discipline."""
    return in_new_namespace("tc", "qdisc", "add", "dev", "lo", "root", *kind)


def link(*kind: str) -> Probe:
    """Whether the kernel has a type of interface."""
    return in_new_namespace("ip", "link", "add", *kind)


def open_vswitch(machine: Machine) -> Seen:
    """Whether Open vSwitch answers."""
    if machine.euid() != 0:
        return NOT_TRIED
    answer = machine.run(("ovs-appctl", "--timeout=2", "-t", "ovs-vswitchd", "version"))
    return Seen(answer.ok, answer.output if answer.ok else answer.reason)


def ovs_userspace(machine: Machine) -> Seen:
    """Whether the running Open vSwitch can switch in userspace, which takes tap interfaces."""
    if machine.euid() != 0:
        return NOT_TRIED
    if not (machine.root / "dev/net/tun").exists():
        return Seen(present=False, detail="no /dev/net/tun")
    ask = ("ovs-vsctl", "--timeout=2", "--no-wait", "get", "Open_vSwitch", ".", "datapath_types")
    answer = machine.run(ask)
    if not answer.ok:
        return Seen(present=False, detail=answer.reason)
    return Seen("netdev" in answer.output, f"datapath types {answer.output}")


def ovs_kernel(machine: Machine) -> Seen:
    """Whether the kernel has a datapath for Open vSwitch."""
    seen = in_new_namespace("ovs-dpctl", "add-dp", "crunchbed")(machine)
    refused = not seen.present and seen != NOT_TRIED
    return Seen(present=False, detail="not in this kernel") if refused else seen
