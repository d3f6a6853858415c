"""A deaf, a mute and a frozen guest look to the membership as a daemon in that guest would.

The same cluster runs twice on the same clock: with fake guests and their attendants, and with
daemons that have no channel between themselves and their packets.
"""

from __future__ import annotations

from typing import Any

import pytest

from nodes.membership.detectors.settings import (
    FixedSettings,
    PhiSettings,
    Settings,
    SwimSettings,
)
from nodes.membership.rings import Arrival
from nodes.membership.turn import HeartbeatNode, sent
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent
from reserve_agent.contract.events.membership import MembershipSuspected
from tests.unit.fake_guest import MS
from tests.unit.guest_cluster import (
    INTERVAL_NS,
    POLL_NS,
    START_NS,
    STEP_NS,
    GuestCluster,
    config,
)

NAMES = ["n1", "n2", "n3"]
HARMED = "n1"
BEFORE_MS, AFTER_MS = 3000, 1950
CHANNEL_NS = POLL_NS + 2 * MS
assert CHANNEL_NS < INTERVAL_NS / 10


class Daemon:
    """One node's membership with its packets at hand."""

    def __init__(self, name: str, **changes: Any) -> None:
        settings = config(name, NAMES, **changes).heartbeat
        self.node = HeartbeatNode(settings, START_NS)
        self.events: list[Event] = []
        self.fenced: list[str] = []
        self.arrived: list[Arrival] = []
        self.harm = ""

    def step(self, now_ns: int) -> list[tuple[str, bytes]]:
        """Do what is due; return what is sent, and to whom."""
        if self.harm == "frozen":
            return []
        arrivals, self.arrived = ([] if self.harm == "deaf" else self.arrived), []
        turn = self.node.turn(now_ns, arrivals)
        self.events += turn.events
        self.fenced += [request.target for request in turn.fences]
        mute = self.harm == "mute"
        for one in turn.datagrams:
            to = list(one.to)
            self.events.append(sent(one, now_ns, [] if mute else to, to if mute else []))
        return [] if mute else [(to, one.payload) for one in turn.datagrams for to in one.to]


def with_daemons(harm: str, detector: Settings) -> dict[str, Daemon]:
    """Return daemons that have run, the first of them harmed."""
    daemons = {name: Daemon(name, heartbeat_changes={"detector": detector}) for name in NAMES}
    under_way: list[tuple[str, str, bytes]] = []
    now_ns = START_NS
    while now_ns < START_NS + (BEFORE_MS + AFTER_MS) * MS:
        now_ns += STEP_NS
        if now_ns == START_NS + BEFORE_MS * MS:
            daemons[HARMED].harm = harm
        for source, target, payload in under_way:
            daemons[target].arrived.append(Arrival(payload, source, now_ns))
        under_way = [
            (name, to, payload)
            for name, daemon in daemons.items()
            for to, payload in daemon.step(now_ns)
        ]
    return daemons


def with_guests(harm: str, detector: Settings) -> GuestCluster:
    """Return the same cluster of guests."""
    cluster = GuestCluster(heartbeat_changes={"detector": detector})
    cluster.boot()
    cluster.run((START_NS - cluster.ns) / MS + BEFORE_MS)
    setattr(cluster.nodes[HARMED].guest, harm, "fail" if harm == "mute" else True)
    cluster.run(AFTER_MS)
    return cluster


def seen(events: list[Event], kind: type[HeartbeatMissed | MembershipSuspected]) -> dict[str, int]:
    """Return when each peer was first reported so, nanoseconds since the harm."""
    found: dict[str, int] = {}
    for event in events:
        if isinstance(event, kind):
            found.setdefault(str(event.peer), event.t - START_NS - BEFORE_MS * MS)
    return found


@pytest.mark.parametrize("harm", ["deaf", "mute", "frozen"])
@pytest.mark.parametrize(
    "detector",
    [kind.preset(INTERVAL_NS) for kind in (FixedSettings, PhiSettings, SwimSettings)],
    ids=["fixed", "phi", "swim"],
)
def test_peers_and_the_node_itself_see_the_same(harm: str, detector: Settings) -> None:
    daemons, guests = with_daemons(harm, detector), with_guests(harm, detector)
    for name in NAMES if harm != "frozen" else NAMES[1:]:  # a daemon that is frozen sees nothing
        for kind in (HeartbeatMissed, MembershipSuspected):
            expected = seen(daemons[name].events, kind)
            found = seen(guests.nodes[name].events, kind)
            assert found.keys() == expected.keys(), (name, kind)
            if isinstance(detector, SwimSettings):
                continue  # whom it probes next is drawn anew from each boot on
            for peer, at_ns in expected.items():
                assert abs(found[peer] - at_ns) <= CHANNEL_NS, (name, kind, peer)
        assert set(guests.nodes[name].fence.asked) == set(daemons[name].fenced), name


@pytest.mark.parametrize("harm", ["deaf", "mute"])
def test_the_node_goes_on_to_send_as_a_daemon_does(harm: str) -> None:
    detector = FixedSettings.preset(INTERVAL_NS)
    daemons, guests = with_daemons(harm, detector), with_guests(harm, detector)

    def told(events: list[Event]) -> list[tuple[bool, int]]:
        began = START_NS + BEFORE_MS * MS
        return [
            (event.failed is None, (event.t - began) // INTERVAL_NS)
            for event in events
            if isinstance(event, HeartbeatSent) and event.t >= began
        ]

    assert told(guests.nodes[HARMED].events) == told(daemons[HARMED].events)
