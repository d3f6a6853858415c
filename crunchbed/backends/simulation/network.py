"""The network of a simulated cluster: links with rate, queue, delay, loss and cuts.

Each link of a host has a token bucket in both directions, as a run's Mininet network has it
(``topologies/wiring.py``): the host shapes what it sends, its switch port what comes to it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from crunchbed.backends.common.settings import rings
from crunchbed.backends.simulation.links import Link
from crunchbed.backends.simulation.loop import SimulatedLoop, Streams
from crunchbed.backends.simulation.packet import Datagram
from crunchbed.faults.holds import Held
from crunchbed.run.world import STORAGE, Impairment, Undo
from crunchbed.scenario.schema import Scenario
from topologies.layout import HostLayout, Layout

HOP_NS: Final = 30_000
"""From an interface to the switch, and from there to the next: the order of magnitude of a veth and
a software switch. Two hundredths of the shortest deadline of any scenario; no verdict depends on
it."""

Arrive = Callable[[Datagram], None]


class SimulatedNetwork:
    """Implements ``crunchbed.run.world.Network``.

    Attributes:
        arrive: By host: told of each packet at the arrival of its first frame.
        lost: By host: told of each packet that a fault loses on its way in.
        rings: Addresses of each host by which heartbeats come, by its name.
        names: The host of each such address.
        rough: Hosts with a link that is down, loses packets or holds them back.
    """

    def __init__(
        self, scenario: Scenario, layout: Layout, loop: SimulatedLoop, streams: Streams
    ) -> None:
        self._loop = loop
        self.arrive: dict[str, Arrive] = {}
        self.lost: dict[str, Arrive] = {}
        names = [*scenario.node_names, STORAGE]
        self._layouts = dict(zip(names, layout.hosts, strict=True))
        cluster = scenario.cluster
        self._links: dict[str, list[Link]] = {}
        for name, host in self._layouts.items():
            rate = cluster.storage_rate if name == STORAGE else cluster.port_rate
            self._links[name] = [
                Link(name, link, rate, coming_ns=cluster.delay, loss=cluster.loss)
                for link in host.links
            ]
        self._to_network = {
            (name, link.layout.network): link
            for name, links in self._links.items()
            for link in links
        }
        self._base_ns = cluster.delay
        self.rings = {
            name: tuple(link.ip for link in rings(self._layouts[name].links))
            for name in scenario.node_names
        }
        self.names = {ip: name for name, ips in self.rings.items() for ip in ips}
        self.rough: set[str] = set()
        self._lossy = cluster.loss > 0
        self._impaired: set[str] = set(names) if self._lossy else set()
        self._owners = {link.layout.ip: link for links in self._links.values() for link in links}
        self._streams = streams
        self._dice: dict[str, random.Random] = {}
        self._losses: Held[tuple[str, str | None], float] = Held(self._put_losses, _independent)
        self._losses_of: dict[str, dict[str | None, float]] = {}
        self._delays: Held[tuple[str, bool], int] = Held(self._put_delays, max)

    # --- what the run sees

    @property
    def hosts(self) -> tuple[str, ...]:
        """The nodes and the storage host."""
        return tuple(self._links)

    def networks(self, host: str) -> tuple[str, ...]:
        """Return the networks that a host has a link to."""
        return tuple(link.layout.network for link in self._links[host])

    def cut(self, host: str, network: str | None = None) -> None:
        """Take the link of a host to one network down, or all its links."""
        for link in self._of(host, network):
            link.cuts += 1
        self._look_at([host])

    def mend(self, host: str, network: str | None = None) -> bool:
        """Take one ``cut`` back; returns whether it was the last one of these links."""
        links = self._of(host, network)
        for link in links:
            link.cuts -= 1
        self._look_at([host])
        return not any(link.cuts for link in links)

    def settled(self, host: str) -> bool:  # noqa: ARG002 - a protocol
        """Return whether packets pass all links of a host that are up: they do at once."""
        return True

    def impair(self, impairments: Iterable[Impairment]) -> Undo:
        """Impair packets; independent losses of the same packets add up. Returns the undo."""
        wanted, owner = list(impairments), object()
        self._losses.hold(owner, {(one.target, one.source): one.loss for one in wanted if one.loss})
        self._delays.hold(
            owner, {(one.target, one.leaving): one.delay_ns for one in wanted if one.delay_ns}
        )

        def undo() -> None:
            self._losses.release(owner)
            self._delays.release(owner)

        return undo

    def _of(self, host: str, network: str | None) -> list[Link]:
        return [one for one in self._links[host] if network in (None, one.layout.network)]

    def _put_losses(self, _changed: Mapping[tuple[str, str | None], float | None]) -> None:
        self._losses_of = {}
        for (target, source), share in self._losses.all().items():
            self._losses_of.setdefault(target, {})[source] = share
        self._note_impaired()

    def _put_delays(self, changed: Mapping[tuple[str, bool], int | None]) -> None:
        for (host, leaving), delay in changed.items():
            for link in self._links[host]:
                if leaving:
                    link.leaving_ns = delay or 0
                else:
                    link.coming_ns = self._base_ns + (delay or 0)
        self._note_impaired()

    def _note_impaired(self) -> None:
        before = self._impaired
        losses = {host for pair in self._losses.all() for host in pair if host is not None}
        self._impaired = losses | {host for host, _ in self._delays.all()}
        if self._lossy:
            self._impaired.update(self._links)
        self._look_at(before | self._impaired)

    def _look_at(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            if host in self._impaired or not all(link.passes for link in self._links[host]):
                self.rough.add(host)
            else:
                self.rough.discard(host)

    @property
    def round_trip_ns(self) -> int:
        """Time from a packet to the answer that comes at once, where nothing is rough or queued."""
        return 4 * HOP_NS + 2 * self._base_ns

    def idle(self, host: str) -> bool:
        """Whether nothing has passed the first link of a host for some time."""
        link, now = self._links[host][0], self._loop.now_ns()
        return link.up.full(now) and link.down.full(now)

    # --- what the hosts see

    def layout(self, host: str) -> HostLayout:
        """Return the links and addresses of a host."""
        return self._layouts[host]

    def address(self, host: str, network: str) -> str:
        """Return the address of a host on a network; on its first one where it has no such link."""
        links = self._layouts[host].links
        return next((link.ip for link in links if link.network == network), links[0].ip)

    def power(self, host: str, *, on: bool) -> None:
        """Follow a host's power switch."""
        for link in self._links[host]:
            link.powered = on
        self._look_at([host])

    def move(self, address: str, host: str | None, network: str) -> None:
        """Have an address lead to another host; None: to nobody."""
        self._owners.pop(address, None)
        if host is not None:
            self._owners[address] = (self._of(host, network) or self._links[host])[0]

    def send(self, host: str, packet: Datagram) -> int:
        """Send a packet that has left its host's memory; returns when it has left the interface."""
        now, target = self._loop.now_ns(), self._owners.get(packet.destination)
        link = self._leads_to(host, target)
        if link is None or target is None or not link.passes:
            return now
        frames = min(packet.frames, link.up.room(now, packet.bytes))
        if not frames:
            return now
        packet = packet if frames == packet.frames else packet.first(frames)
        first, last = link.up.take(now, packet.bytes, frames)
        packet.spread_ns = max(packet.spread_ns, last - first)
        self._loop.at(first + link.leaving_ns + HOP_NS, partial(self._switch, target, packet))
        return last

    def _leads_to(self, host: str, target: Link | None) -> Link | None:
        """Return the link of a host to the network of another link."""
        return None if target is None else self._to_network.get((host, target.layout.network))

    def _switch(self, link: Link, packet: Datagram) -> None:
        """A packet's first frame is at the switch, which sends it to ``link``.

        A switch forgets who is at a port that goes down, and then sends to all ports what is for
        that host: every other node has to receive and drop it.
        """
        if link.passes and not packet.broadcast:
            self._forward(link, packet)
            return
        network, source = link.layout.network, self._owners.get(packet.source)
        for links in self._links.values():
            for other in links:
                if other.layout.network == network and other is not source:
                    self._forward(other, packet.changed())

    def _forward(self, link: Link, packet: Datagram) -> None:
        """The switch's port to a host sends a packet, as far as its queue and its cable go."""
        now = self._loop.now_ns()
        frames = min(packet.frames, link.down.room(now, packet.bytes)) if link.passes else 0
        if link.loss:
            dice = self._dice_of(link.host)
            frames = sum(dice.random() >= link.loss for _ in range(frames))
        if not frames:
            return
        first, last = link.down.take(now, packet.bytes, frames)
        packet = packet if frames == packet.frames else packet.first(frames)
        packet.spread_ns = max(packet.spread_ns, last - first)
        self._loop.at(first + link.coming_ns + HOP_NS, partial(self._come, link, packet))

    def _come(self, link: Link, packet: Datagram) -> None:
        """A packet's first frame is at the host."""
        if not link.passes:
            return
        host = link.host
        shares = self._losses_of.get(host)
        if shares is None:
            self.arrive[host](packet)
            return
        share = _independent([shares.get(None, 0.0), shares.get(self._host_of(packet.source), 0.0)])
        for frame in packet.apart() if packet.frames > 1 else (packet,):
            lost = share >= 1 or (share > 0 and self._dice_of(host).random() < share)
            (self.lost if lost else self.arrive)[host](frame)

    def _dice_of(self, host: str) -> random.Random:
        if host not in self._dice:
            self._dice[host] = self._streams.fork(f"losses of {host}")
        return self._dice[host]

    def _host_of(self, address: str) -> str | None:
        link = self._owners.get(address)
        return None if link is None else link.host


def _independent(shares: Sequence[float]) -> float:
    """Return the share that is lost to several: losses leave (1 - a)(1 - b) of the packets."""
    return 1 - math.prod(1 - share for share in shares)
