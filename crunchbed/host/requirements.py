"""What crunchbed may need of a machine, as data: what for, how to bring it, and how to look.

Which of these a run needs, its backend says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crunchbed.backends.machines import images
from crunchbed.host.probes import guests, hooks, system
from crunchbed.host.probes.machine import NOT_TRIED, THIS_MACHINE, Machine
from crunchbed.host.probes.system import Probe
from crunchbed.host.run_ids import STATE_ROOT
from crunchbed.scenario.block_io import BlockIo
from crunchbed.scenario.section import KERNELS
from reserve_agent.errors import MissingRequirement

SETUP = "make setup"
ROOT = "a root shell: sudo -i"


@dataclass(frozen=True)
class Requirement:
    """One thing that a machine has or lacks."""

    name: str
    needed_for: str  # what does not work without it
    remedy: str  # the command, or else the kernel setting, that brings it
    probe: Probe  # looks whether it is there
    # Whether shipped scenarios need it that ask neither for a controller nor for corosync or iSCSI.
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


def _hook(name: str, needed_for: str, remedy: str) -> Requirement:
    return Requirement(name, needed_for, remedy, hooks.hook(name))


def _machine_kernel(name: str) -> Requirement:
    needed_for = _MACHINES if name == images.DEFAULT else f"memory.kernel: {name}"
    return _optional(f"machine-kernel-{name}", needed_for, images.MAKE, guests.kernel(name))


def disk_room(needed: int) -> Requirement:
    """Return so many bytes of room for the file behind the block target."""
    return Requirement(
        "disk-room",
        "the block target's disk",
        f"make room in {STATE_ROOT}, or --set block_io.export=64MiB or less",
        system.Room(STATE_ROOT, needed),
    )


_MACHINES = "cluster.backend: machines"
_BTF = system.file("/sys/kernel/btf/vmlinux")
_CGROUP2 = "mount -t cgroup2 none /sys/fs/cgroup/unified"
_TBF = system.qdisc("tbf", "rate", "1mbit", "burst", "16kb", "latency", "1ms")
_VLAN = system.link("link", "lo", "name", "crunchbed", "type", "vlan", "id", "2")
_BRIDGE = system.link("crunchbed", "type", "bridge")
_OVS = _module("openvswitch", "OPENVSWITCH")
_NETEM = _module("sch_netem", "NET_SCH_NETEM")
_COROSYNC = "membership: corosync"
_MIRRED = system.in_new_namespace(
    *("tc", "actions", "add", "action", "mirred", "egress", "redirect", "dev", "lo")
)

_REQUIRED = (
    Requirement("root", "namespaces, cgroups, hooks", ROOT, system.root),
    Requirement("kernel-btf", "compiling the hooks", _kernel("DEBUG_INFO_BTF"), _BTF),
    Requirement("libbpf", "loading the hooks", SETUP, system.library("libbpf.so.1")),
    Requirement("hook-object", "every policy", SETUP, hooks.hook_object),
    Requirement("bpffs", "the daemons' page pool", SETUP, system.bpffs),
    _hook("bpf-tc", "receive and transmit buffers", _module("cls_bpf", "NET_CLS_BPF")),
    _hook("bpf-cgroup-skb", "the drop after socket lookup", _kernel("CGROUP_BPF")),
    _hook("bpf-sockopt", "SO_MEMALLOC", _kernel("CGROUP_BPF (5.3 on)")),
    _hook("bpf-connect", "unmodified programs: TCP", _kernel("CGROUP_BPF")),
    _hook("bpf-sendmsg", "unmodified programs: UDP", _kernel("CGROUP_BPF")),
    _hook("bpf-sock-release", "pages of a closed socket", _kernel("CGROUP_BPF (5.9 on)")),
    Requirement("cgroup2", "the hooks of one node", _CGROUP2, system.cgroup2),
    Requirement("mininet", "nodes and links", SETUP, system.module("mininet")),
    Requirement("mnexec", "nodes and links", SETUP, system.tool("mnexec")),
    Requirement("ip", "nodes and links", SETUP, system.tool("ip")),
    Requirement("tbf", "shaped ports", _module("sch_tbf", "NET_SCH_TBF"), _TBF),
    Requirement("open-vswitch", "the switch", SETUP, system.open_vswitch),
    Requirement(
        "ovs-userspace", "a switch on any kernel", _module("tun", "TUN"), system.ovs_userspace
    ),
    Requirement("nbdkit", "block targets", SETUP, system.tool("nbdkit")),
    Requirement("libnbd", "block initiators", SETUP, system.module("nbd")),
    disk_room(BlockIo().export),
)

_OPTIONAL = (
    _optional("ovs-kernel", "a faster switch", _OVS, system.ovs_kernel),
    _optional("linux-bridge", "a switch without own loss", _module("bridge", "BRIDGE"), _BRIDGE),
    _optional("vlan", "separate storage network", _module("8021q", "VLAN_8021Q"), _VLAN),
    _optional("netem", "links with delay or loss", _NETEM, system.qdisc("netem", "delay", "1ms")),
    _optional("os-ken", "cluster.controller: openflow", SETUP, system.module("os_ken")),
    _optional("htb", "shed: queue", _module("sch_htb", "NET_SCH_HTB"), system.qdisc("htb")),
    _optional("sctp", "SCTP traffic", _module("sctp", "IP_SCTP"), system.sctp),
    _optional("memory-cgroup", "limits on real memory", _kernel("MEMCG"), system.memory_cgroup),
    _optional("ethtool", "tests: offloads", SETUP, system.tool("ethtool")),
    _optional("tcpdump", "capture: true; tests: packet counts", SETUP, system.tool("tcpdump")),
    _optional("promtool", "tests: exporters' output", SETUP, system.tool("promtool")),
    _optional("prometheus", "recording a run's metrics", SETUP, system.tool("prometheus")),
    _optional("iscsi-target", "iSCSI targets", SETUP, system.tool("tgtd")),
    _optional("iscsi-initiator", "iSCSI initiators", SETUP, system.library("libiscsi.so.7")),
    _optional("corosync", _COROSYNC, _apt("corosync"), system.tool("corosync")),
    _optional("libquorum", _COROSYNC, _apt("libquorum5"), system.library("libquorum.so.5")),
    _optional("libcmap", _COROSYNC, _apt("libcmap4"), system.library("libcmap.so.4")),
    _optional("qemu", _MACHINES, images.MAKE, system.tool(images.QEMU)),
    *(_machine_kernel(name) for name in KERNELS),
    _optional("tun", _MACHINES, _module("tun", "TUN"), system.file("/dev/net/tun")),
    _optional("mirred", _MACHINES, _module("act_mirred", "NET_ACT_MIRRED"), _MIRRED),
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


def probe_all(machine: Machine = THIS_MACHINE) -> list[Finding]:
    """Look for everything, in the order of ``REQUIREMENTS``."""
    return [_look(requirement, machine) for requirement in REQUIREMENTS.values()]


def requirement(name: str) -> Requirement:
    """Return the requirement of that name; KeyError for a name that is in no list here."""
    return REQUIREMENTS[name]


def missing(wanted: Iterable[Requirement], machine: Machine = THIS_MACHINE) -> list[Finding]:
    """Look for some things on a machine (this one by default); return those that are not there."""
    findings = (_look(each, machine) for each in wanted)
    return [finding for finding in findings if not finding.present]


def require(wanted: Iterable[Requirement], machine: Machine = THIS_MACHINE) -> None:
    """Raise MissingRequirement, with all that a machine lacks and what brings each thing."""
    lacking = missing(wanted, machine)
    if any(finding.name == "root" for finding in lacking):
        # Without root nothing else could be tried.
        raise MissingRequirement("this needs root: namespaces, cgroups and kernel hooks")
    if lacking:
        reasons = (f"{each.name} ({each.detail}; {each.remedy})" for each in lacking)
        raise MissingRequirement("this machine lacks " + ", ".join(reasons))
