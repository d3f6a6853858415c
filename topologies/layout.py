"""Layouts: which switches and hosts a topology has, and how they are linked.

This module is pure and only describes. Plain Mininet's ``mn`` loads it too, so it imports nothing
else of the project.
"""

from __future__ import annotations

from dataclasses import dataclass

STORAGE_NUMBER = 254
PREFIX_LENGTH = 24
WIDE_STORAGE_NUMBER = 65534
"""Of the storage host where there are more nodes than a /24 has addresses for: a simulation."""
_TRUNK_SIDE = 0x80
_WIDE = 128  # of an address's second number: from here on a network is a /16


@dataclass(frozen=True)
class PortLayout:
    """One end of a link, at a switch: the port's number there, from 1, and its address."""

    switch: str
    number: int
    mac: str

    @property
    def interface(self) -> str:
        """Name of the port in the root namespace, as Mininet gives it."""
        return f"{self.switch}-eth{self.number}"


@dataclass(frozen=True)
class LinkLayout:
    """A host's link to a switch; ``ip`` is the address of the host's interface.

    It is one of a /24, or of a /16 where there are more nodes than a /24 has addresses for.
    """

    network: str
    interface: str
    ip: str
    mac: str
    port: PortLayout


@dataclass(frozen=True)
class HostLayout:
    """A host; ``host_address`` is an IPv4 address that belongs to none of its links."""

    name: str
    links: tuple[LinkLayout, ...]
    host_address: str | None = None


@dataclass(frozen=True)
class SwitchLayout:
    """A switch and its OpenFlow datapath id."""

    name: str
    dpid: int


@dataclass(frozen=True)
class TrunkLayout:
    """A link between two switches."""

    one: PortLayout
    other: PortLayout


@dataclass(frozen=True)
class Layout:
    """A whole network; with ``has_loops`` a flooded frame could go round for ever."""

    switches: tuple[SwitchLayout, ...]
    hosts: tuple[HostLayout, ...]
    trunks: tuple[TrunkLayout, ...] = ()
    has_loops: bool = False


def hardware_address(run_number: int, side: int, number: int) -> str:
    """A locally administered MAC that differs between runs, link ends and hosts.

    Args:
        run_number: the run id as a number under 2**24.
        side: end of a link: even in a host, odd at a switch; two numbers for each link of a host.
        number: number of the host, or of the link between switches. One over 255 leaves no room for
            the run: only a simulation, which has no other run beside it, has so many hosts.
    """
    where = run_number.to_bytes(3, "big") if number <= 255 else (number >> 8).to_bytes(3, "big")
    octets = (2 if number <= 255 else 6, *where, side, number & 255)
    return ":".join(f"{octet:02x}" for octet in octets)


class Planner:
    """Makes the hosts and links of a layout, and numbers the ports of each switch.

    The storage host comes on top of ``nodes``. The first switch is ``s1``. All names have the run
    id as prefix, which is "" for plain Mininet.
    """

    def __init__(self, nodes: int, run_id: str, switches: int) -> None:
        self._run_id = run_id
        self._run_number = int(run_id, 36) if run_id else 0
        # Mininet's own datapath id is the first digits of a switch's name, and these are not
        # unique when run ids have digits.
        self.switches = tuple(
            SwitchLayout(f"{run_id}s{index}", (self._run_number << 8) + index)
            for index in range(1, switches + 1)
        )
        self.storage = STORAGE_NUMBER if nodes < STORAGE_NUMBER else WIDE_STORAGE_NUMBER
        self.numbers = (*range(1, nodes + 1), self.storage)
        self._used = dict.fromkeys((switch.name for switch in self.switches), 0)
        self._trunks = 0

    def host_name(self, number: int) -> str:
        """``n1``.. or ``st``, after the run id."""
        return f"{self._run_id}{'st' if number == self.storage else f'n{number}'}"

    def host(
        self, number: int, links: list[tuple[str, int, int]], host_address: str | None = None
    ) -> HostLayout:
        """A host with these links, in order: network, subnet, index of the switch from 0."""
        made = []
        for index, (network, subnet, switch) in enumerate(links):
            # From subnet and index, so that the links to one network have one side on all hosts.
            side = 2 * (2 * subnet + index)
            made.append(
                LinkLayout(
                    network=network,
                    interface=f"{self.host_name(number)}-eth{index}",
                    ip=self.address(number, subnet),
                    mac=hardware_address(self._run_number, side, number),
                    port=self._port(switch, side + 1, number),
                )
            )
        return HostLayout(self.host_name(number), tuple(made), host_address)

    def address(self, number: int, subnet: int) -> str:
        """IPv4 address of a host on a network: of a /24, or of a /16 where there are too many."""
        if self.storage == STORAGE_NUMBER:
            return address(number, subnet)
        return wide_address(number, subnet)

    def trunk(self, one: int, other: int) -> TrunkLayout:
        """A link between two switches, given by their indexes from 0."""
        self._trunks += 1
        return TrunkLayout(
            self._port(one, _TRUNK_SIDE, self._trunks),
            self._port(other, _TRUNK_SIDE + 1, self._trunks),
        )

    def _port(self, switch: int, side: int, number: int) -> PortLayout:
        name = self.switches[switch].name
        self._used[name] += 1
        mac = hardware_address(self._run_number, side, number)
        return PortLayout(name, self._used[name], mac)


def address(number: int, subnet: int = 0) -> str:
    """IPv4 address of a cluster node, numbered from 1, or of the storage host, number 254."""
    return f"10.77.{subnet}.{number}"


def wide_address(number: int, subnet: int = 0) -> str:
    """The same where a network is a /16, and the storage host has number 65534."""
    return f"10.{_WIDE + subnet}.{number >> 8}.{number & 255}"


def number_of(address: str) -> int:
    """Return the number of the host that has an IPv4 address of these; ValueError: none has."""
    _, network, high, low = map(int, address.split("."))
    return (high << 8) + low if network >= _WIDE else low


def star(nodes: int, run_id: str = "") -> Layout:
    """Every host on one switch."""
    planner = Planner(nodes, run_id, 1)
    hosts = [planner.host(number, [("cluster", 0, 0)]) for number in planner.numbers]
    return Layout(planner.switches, tuple(hosts))


def split(nodes: int, run_id: str = "") -> Layout:
    """Two networks: heartbeats on ``s1``, block I/O and the storage host on ``s2``."""
    planner = Planner(nodes, run_id, 2)
    both = [("cluster", 0, 0), ("storage", 1, 1)]
    hosts = [
        planner.host(number, both[1:] if number == planner.storage else both)
        for number in planner.numbers
    ]
    return Layout(planner.switches, tuple(hosts))


def redundant(nodes: int, run_id: str = "") -> Layout:
    """Every host on two linked switches, with one more address that either link leads to."""
    planner = Planner(nodes, run_id, 2)
    both = [("a", 1, 0), ("b", 2, 1)]
    hosts = [planner.host(number, both, address(number)) for number in planner.numbers]
    return Layout(planner.switches, tuple(hosts), (planner.trunk(0, 1),))


def leaf_spine(nodes: int, leaves: int = 2, run_id: str = "") -> Layout:
    """Spines ``s1`` and ``s2``, each linked to every leaf from ``s3``.

    Nodes are distributed over the leaves in turn; the storage host is on the last leaf.
    """
    planner = Planner(nodes, run_id, 2 + leaves)
    hosts = [
        planner.host(number, [("cluster", 0, 1 + leaves if number == STORAGE_NUMBER else leaf)])
        for number, leaf in ((number, 2 + (number - 1) % leaves) for number in planner.numbers)
    ]
    trunks = [planner.trunk(2 + leaf, spine) for leaf in range(leaves) for spine in (0, 1)]
    return Layout(planner.switches, tuple(hosts), tuple(trunks), has_loops=leaves > 1)
