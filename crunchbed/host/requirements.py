"""What crunchbed needs of a machine, as data: what for, how to bring it, and how to look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crunchbed.host.probes import hooks, system
from crunchbed.host.probes import netns as network
from crunchbed.host.probes.machine import NOT_TRIED, Machine
from crunchbed.host.probes.system import Probe
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import MissingRequirement

SETUP = "make setup"
ROOT = "a root shell: sudo -i"


@dataclass(frozen=True)
class Requirement:
    """One thing that a machine has or lacks.

    Attributes:
        name: Short name, unique.
        needed_for: What does not work without it.
        remedy: The command, or else the kernel setting, that brings it.
        probe: Looks whether it is there.
        required: Whether the shipped scenarios need it.
    """

    name: str
    needed_for: str
    remedy: str
    probe: Probe
    required: bool = True


@dataclass(frozen=True)
class Finding:
    """What was found of one requirement; the fields are those of ``Requirement``."""

    name: str
    present: bool
    required: bool
    detail: str
    needed_for: str
    remedy: str


def _apt(*packages: str) -> str:
    return "apt-get install --no-install-recommends " + " ".join(packages)


def _kernel(option: str) -> str:
    return f"a kernel with CONFIG_{option}"


def _module(name: str, option: str) -> str:
    return f"modprobe {name} (CONFIG_{option})"


def _optional(name: str, needed_for: str, remedy: str, probe: Probe) -> Requirement:
    return Requirement(name, needed_for, remedy, probe, required=False)


_REQUIRED = (
    Requirement("root", "namespaces, cgroups, hooks", ROOT, system.root),
    Requirement(
        "kernel-btf",
        "compiling the hooks",
        _kernel("DEBUG_INFO_BTF"),
        system.file("/sys/kernel/btf/vmlinux"),
    ),
    Requirement("libbpf", "loading the hooks", SETUP, system.library("libbpf.so.1")),
    Requirement("hook-object", "every policy", SETUP, hooks.hook_object),
    Requirement("bpffs", "the daemons' page pool", SETUP, system.bpffs),
    Requirement(
        "bpf-tc",
        "receive and transmit buffers",
        _module("cls_bpf", "NET_CLS_BPF"),
        hooks.hook("bpf-tc"),
    ),
    Requirement(
        "bpf-cgroup-skb",
        "the drop after socket lookup",
        _kernel("CGROUP_BPF"),
        hooks.hook("bpf-cgroup-skb"),
    ),
    Requirement(
        "bpf-sockopt", "SO_MEMALLOC", _kernel("CGROUP_BPF (5.3 on)"), hooks.hook("bpf-sockopt")
    ),
    Requirement(
        "bpf-connect",
        "unmodified programs: TCP",
        _kernel("CGROUP_BPF"),
        hooks.hook("bpf-connect"),
    ),
    Requirement(
        "bpf-sendmsg",
        "unmodified programs: UDP",
        _kernel("CGROUP_BPF"),
        hooks.hook("bpf-sendmsg"),
    ),
    Requirement(
        "bpf-sock-release",
        "pages of a closed socket",
        _kernel("CGROUP_BPF (5.9 on)"),
        hooks.hook("bpf-sock-release"),
    ),
    Requirement(
        "cgroup2",
        "the hooks of one node",
        "mount -t cgroup2 none /sys/fs/cgroup/unified",
        system.cgroup2,
    ),
    Requirement("mininet", "nodes and links", SETUP, system.module("mininet")),
    Requirement("mnexec", "nodes and links", SETUP, system.tool("mnexec")),
    Requirement("ip", "nodes and links", SETUP, system.tool("ip")),
    Requirement(
        "tbf",
        "shaped ports",
        _module("sch_tbf", "NET_SCH_TBF"),
        network.qdisc("tbf", "rate", "1mbit", "burst", "16kb", "latency", "1ms"),
    ),
    Requirement("open-vswitch", "the switch", SETUP, network.open_vswitch),
    Requirement(
        "ovs-userspace",
        "a switch on any kernel",
        _module("tun", "TUN"),
        network.ovs_userspace,
    ),
    Requirement("nbdkit", "block targets", SETUP, system.tool("nbdkit")),
    Requirement("libnbd", "block initiators", SETUP, system.module("nbd")),
)

_OPTIONAL = (
    _optional(
        "ovs-kernel",
        "a faster switch",
        _module("openvswitch", "OPENVSWITCH"),
        network.ovs_kernel,
    ),
    _optional(
        "linux-bridge",
        "a switch without own loss",
        _module("bridge", "BRIDGE"),
        network.link("crunchbed", "type", "bridge"),
    ),
    _optional(
        "vlan",
        "separate storage network",
        _module("8021q", "VLAN_8021Q"),
        network.link("link", "lo", "name", "crunchbed", "type", "vlan", "id", "2"),
    ),
    _optional(
        "netem",
        "links with delay or loss",
        _module("sch_netem", "NET_SCH_NETEM"),
        network.qdisc("netem", "delay", "1ms"),
    ),
    _optional("os-ken", "cluster.controller: openflow", SETUP, system.module("os_ken")),
    _optional("htb", "shed: queue", _module("sch_htb", "NET_SCH_HTB"), network.qdisc("htb")),
    _optional("sctp", "SCTP traffic", _module("sctp", "IP_SCTP"), system.sctp),
    _optional("memory-cgroup", "limits on real memory", _kernel("MEMCG"), system.memory_cgroup),
    _optional("ethtool", "tests: offloads", SETUP, system.tool("ethtool")),
    _optional("tcpdump", "capture: true; tests: packet counts", SETUP, system.tool("tcpdump")),
    _optional("promtool", "tests: exporters' output", SETUP, system.tool("promtool")),
    _optional("prometheus", "recording a run's metrics", SETUP, system.tool("prometheus")),
    _optional("iscsi-target", "iSCSI targets", SETUP, system.tool("tgtd")),
    _optional("iscsi-initiator", "iSCSI initiators", SETUP, system.library("libiscsi.so.7")),
    _optional(
        "corosync",
        "membership: corosync",
        _apt("corosync"),
        system.tool("corosync"),
    ),
    _optional(
        "libquorum",
        "membership: corosync",
        _apt("libquorum5"),
        system.library("libquorum.so.5"),
    ),
    _optional(
        "libcmap",
        "membership: corosync",
        _apt("libcmap4"),
        system.library("libcmap.so.4"),
    ),
)

REQUIREMENTS: dict[str, Requirement] = {each.name: each for each in (*_REQUIRED, *_OPTIONAL)}


def _look(requirement: Requirement, machine: Machine) -> Finding:
    seen = requirement.probe(machine)
    return Finding(
        name=requirement.name,
        present=seen.present,
        required=requirement.required,
        detail=seen.detail,
        needed_for=requirement.needed_for,
        remedy=ROOT if seen == NOT_TRIED else requirement.remedy,
    )


def probe_all(machine: Machine | None = None) -> list[Finding]:
    """Look for everything, in the order of ``REQUIREMENTS``."""
    machine = machine or Machine()
    return [_look(requirement, machine) for requirement in REQUIREMENTS.values()]


def needed_by(scenario: Scenario) -> list[str]:
    """What a run of ``scenario`` takes: the required ones, and those that its keys ask for."""
    names = [each.name for each in REQUIREMENTS.values() if each.required]
    if scenario.membership == "corosync":
        names += ["corosync", "libquorum", "libcmap"]
    if scenario.block_io.transport == "iscsi":
        names += ["iscsi-target", "iscsi-initiator"]
    if scenario.capture:
        names.append("tcpdump")
    if scenario.cluster.controller != "none":
        names.append("os-ken")
    if scenario.shed.mode == "queue":
        names.append("htb")
    delayed = any(fault.kind == "delay" for fault in scenario.faults)
    if delayed or scenario.cluster.needs_netem:
        names.append("netem")
    return names


def missing(
    wanted: Iterable[str | Requirement] | None = None, machine: Machine | None = None
) -> list[Finding]:
    """Look for some things and return those that are not there.

    Args:
        wanted: Requirements, or names in ``REQUIREMENTS`` (KeyError for another name); the
            required ones when left out.
        machine: Where to look.
    """
    machine = machine or Machine()
    if wanted is None:
        wanted = [each for each in REQUIREMENTS.values() if each.required]
    each = (one if isinstance(one, Requirement) else REQUIREMENTS[one] for one in wanted)
    findings = (_look(requirement, machine) for requirement in each)
    return [finding for finding in findings if not finding.present]


def require(
    wanted: Iterable[str | Requirement] | None = None, machine: Machine | None = None
) -> None:
    """Refuse a machine that lacks something, naming all of it in one line.

    Raises:
        MissingRequirement: with what is missing, why it was wanted and what brings it.
    """
    lacking = missing(wanted, machine)
    if any(finding.name == "root" for finding in lacking):
        # Without root nothing else could be tried.
        raise MissingRequirement("this needs root: namespaces, cgroups and kernel hooks")
    if lacking:
        reasons = (f"{each.name} ({each.detail}; {each.remedy})" for each in lacking)
        raise MissingRequirement("this machine lacks " + ", ".join(reasons))
