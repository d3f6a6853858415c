"""The power of a run's switches: a switch loses its ports when off, and is made again when on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nodes.ports import delete_links, set_link
from topologies import ovs
from topologies.layout import Layout
from topologies.links import make_bridge


class SwitchPower:
    """Turns switches off and on, or raises CrunchbedError.

    The ports of hosts are not set up or down here, since these depend on their hosts' power too.

    Args:
        layout: the network.
        run_id: prefix of every switch's name.
        bridged: whether the switches are Linux bridges; otherwise they are Open vSwitch's.
        made_by: by name of the switch, the arguments of ``ovs-vsctl`` that made the switch.
        attached: shapes ports again that were attached again: that costs a port its queues.
    """

    def __init__(
        self,
        layout: Layout,
        run_id: str,
        bridged: bool,
        made_by: Mapping[str, list[str]],
        attached: Callable[[Iterable[str]], None],
    ) -> None:
        self._layout = layout
        self._run_id = run_id
        self._bridged = bridged
        self._made_by = made_by
        self._attached = attached
        self._off: set[str] = set()

    def full_name(self, name: str) -> str:
        """Name on this machine of a switch such as ``s1``."""
        return f"{self._run_id}{name}"

    def is_on(self, name: str) -> bool:
        """Whether the switch has power."""
        return name not in self._off

    def turn_off(self, name: str) -> None:
        """Set the links to other switches down, and remove the switch."""
        self._off.add(name)
        full = self.full_name(name)
        for port in self._trunk_ports(full):
            set_link(port, up=False)
        if self._bridged:
            delete_links([full])
        else:
            ovs.take_apart(full)

    def turn_on(self, name: str) -> None:
        """Make the switch again, with the same ports."""
        full = self.full_name(name)
        ports = [*self._host_ports(full), *self._trunk_ports(full)]
        if self._bridged:
            make_bridge(full, ports)
        else:
            ovs.vsctl(*self._made_by[full])
        self._attached(ports)
        for port in self._trunk_ports(full):
            set_link(port, up=True)
        self._off.discard(name)

    def _host_ports(self, full: str) -> list[str]:
        links = (link for host in self._layout.hosts for link in host.links)
        return [link.port.interface for link in links if link.port.switch == full]

    def _trunk_ports(self, full: str) -> list[str]:
        ends = (end for trunk in self._layout.trunks for end in (trunk.one, trunk.other))
        return [end.interface for end in ends if end.switch == full]
