"""Load one node's hooks, configure, attach and pin them."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from operator import add
from pathlib import Path

from reserve_agent.contract.packets import (
    MAX_LOSSES,
    MAX_RULES,
    Hook,
    Limits,
    PacketClass,
    Policy,
    PortRule,
    Reason,
    service_shift,
)
from reserve_agent.errors import HookError
from reserve_agent.hooks import layout, libbpf, pinned
from reserve_agent.hooks.layout import COUNTER_CLASS_SHIFT, COUNTER_HOOK_SHIFT
from reserve_agent.hooks.profile import Constants, constants_of
from reserve_agent.model.profiles.proposal_2005 import PROPOSAL_2005
from reserve_agent.netns import network_namespace_of

OBJECT_PATH = Path(__file__).resolve().parents[2] / "build" / "crunchbed.bpf.o"
_CGROUP_PROGRAMS = (
    *("cb_deliver", "cb_release", "cb_setsockopt", "cb_getsockopt"),
    *("cb_connect4", "cb_connect6", "cb_sendmsg4", "cb_sendmsg6"),
)
# By hook, class and reason: where its packets are among the numbers of a ``Counters``, with its
# pages behind them.
_COUNTER_PLACES = {
    (hook, cls, reason): 2 * (hook << COUNTER_HOOK_SHIFT | cls << COUNTER_CLASS_SHIFT | reason)
    for hook, cls, reason in product(Hook, PacketClass, Reason)
}


@dataclass(frozen=True)
class HookSettings(Limits):
    """What the agent tells the hooks, beside the limits of the policies.

    Attributes:
        policy: The rule set that the node follows under pressure.
        service_ns: How long a running reader keeps a buffer, in nanoseconds; rounded up to
            eight wheel ticks of a power of two each.
        rules: At most eight.
        enforce: Refuse protocols that are not vm-aware always, not only from the reserve.
    """

    policy: Policy
    service_ns: int = 200_000
    rules: tuple[PortRule, ...] = ()
    enforce: bool = False


def _loss(source: str | None, share: float) -> layout.Loss:
    if not 0 < share <= 1:
        raise HookError(f"a loss of {share}, expected a share above 0 and at most 1")
    address = 0 if source is None else int.from_bytes(socket.inet_aton(source), "little")
    return layout.Loss(address, max(1, round(share * layout.LOSS_ALWAYS)))


class NodeHooks:
    """The hooks of one node, by ``fixed``; left out, by ``proposal-2005``.

    ``close`` detaches them from the cgroup. Hooks that are not pinned are detached when the process
    dies, too.
    """

    def __init__(self, fixed: Constants | None = None) -> None:
        loaded = libbpf.BpfObject(OBJECT_PATH)
        loaded.set_variable(".rodata", bytes(fixed or constants_of(PROPOSAL_2005)))
        loaded.load()
        self._loaded: libbpf.BpfObject | None = loaded
        self._links: dict[str, int] = {}
        self._open(loaded)

    @classmethod
    def taken_over(cls, directory: Path) -> NodeHooks:
        """The hooks that an earlier process has pinned; they are attached and in use."""
        hooks = cls.__new__(cls)
        hooks._loaded, hooks._links = None, {}
        hooks._pins = directory
        hooks._open(pinned.PinnedObject(directory))
        return hooks

    _pins: Path | None = None

    def _open(self, source: libbpf.BpfObject | pinned.PinnedObject) -> None:
        self._source = source
        self.map_fd, self.program_fd = source.map_fd, source.program_fd
        self._check_layout()
        self.config = libbpf.map_memory(source.map_fd("cb_config"), layout.Config)
        self.pool = libbpf.map_memory(source.map_fd("cb_pool"), layout.Pool)
        self.journal = libbpf.map_memory(source.map_fd("cb_journal"), layout.Journal)
        self.windows = libbpf.map_memory(source.map_fd("cb_windows"), layout.Windows)
        self._cpus = (layout.Counters * libbpf.possible_cpus())()

    def _check_layout(self) -> None:
        for name, structure in layout.MAP_VALUES.items():
            built, here = libbpf.value_size(self.map_fd(name)), ctypes.sizeof(structure)
            if built != here:
                raise HookError(
                    f"{name}: {built} bytes in the object, {here} in layout.py; run `make setup`"
                )

    def configure(self, settings: HookSettings) -> None:
        """Write the settings; the policy takes effect with the next packet."""
        if len(settings.rules) > MAX_RULES:
            raise HookError(f"{len(settings.rules)} port rules, at most {MAX_RULES}")
        config = self.config
        config.policy = settings.policy
        config.service_shift = service_shift(settings.service_ns)
        config.softnet_limit = settings.softnet_limit
        config.softnet_cost_ns = settings.softnet_cost_ns
        config.mempool_pages = settings.mempool_pages
        config.enforce = settings.enforce
        for slot in range(MAX_RULES):
            config.rules[slot] = layout.Rule()
        for slot, rule in enumerate(settings.rules):
            config.rules[slot] = layout.Rule(rule.port, rule.protocol, rule.cls, rule.flags)

    def lose(self, losses: Sequence[tuple[str | None, float]]) -> None:
        """Have the wire lose packets: (sender's IPv4 address or None for all, share 0 to 1).

        Replaces the losses before; an empty list ends all losses.

        Raises:
            HookError: more losses than fit, or a share out of range.
        """
        if len(losses) > MAX_LOSSES:
            raise HookError(f"{len(losses)} losses, at most {MAX_LOSSES}")
        entries = [_loss(source, share) for source, share in losses]
        self.config.losing = 0
        for slot in range(MAX_LOSSES):
            self.config.losses[slot] = entries[slot] if slot < len(entries) else layout.Loss()
        self.config.losing = bool(entries)

    def attach(self, *, netns_pid: int, interfaces: Sequence[str], cgroup: Path) -> None:
        """Attach to a node's interfaces (in the namespace of ``netns_pid``) and cgroup."""
        if self._loaded is None:
            raise HookError("hooks that were taken over are attached already")
        for program in _CGROUP_PROGRAMS:
            self._links[program] = self._loaded.attach_cgroup(program, cgroup)
        with network_namespace_of(netns_pid):
            for interface in interfaces:
                ifindex = socket.if_nametoindex(interface)
                self._loaded.attach_tc("cb_receive", ifindex, libbpf.TC_INGRESS)
                self._loaded.attach_tc("cb_transmit", ifindex, libbpf.TC_EGRESS)

    def detach(self, *, netns_pid: int, interfaces: Sequence[str]) -> None:
        """Undo ``attach``; the books stay as they are."""
        if self._loaded is None:
            raise HookError("hooks that were taken over are detached by `close`")
        self._links.clear()
        self._loaded.detach_cgroup()
        with network_namespace_of(netns_pid):
            for interface in interfaces:
                self._loaded.detach_tc(socket.if_nametoindex(interface))

    def pin(self, directory: Path) -> None:
        """Pin what must outlive this process, and what the node's daemons use.

        From here on packets are judged whether this process lives or not, until ``close``. A
        successor finds all that it needs; see ``taken_over``.
        """
        self._pins = directory
        programs = {name: self.program_fd(name) for name in pinned.PINNED_PROGRAMS}
        maps = {name: self.map_fd(name) for name in pinned.PINNED_MAPS}
        pinned.write_pins(directory, programs | maps, self._links)

    def counters(self) -> dict[tuple[Hook, PacketClass, Reason], tuple[int, int]]:
        """Packets and pages by hook, class and reason since loading; zero rows left out."""
        libbpf.read_map(self.map_fd("cb_counters"), 0, self._cpus)
        # As one list of numbers: a scrape asks for this every second, on every node.
        numbers = memoryview(self._cpus).cast("B").cast("Q").tolist()
        each = 2 * layout.COUNTER_ENTRIES
        totals = numbers[:each]
        for at in range(each, len(numbers), each):
            totals = list(map(add, totals, numbers[at : at + each]))
        return {
            key: (totals[index], totals[index + 1])
            for key, index in _COUNTER_PLACES.items()
            if totals[index]
        }

    def close(self) -> None:
        """Detach from the cgroup; the filters at interfaces go with the interfaces."""
        if self._pins is not None:
            pinned.remove_pins(self._pins)
        self._source.close()
