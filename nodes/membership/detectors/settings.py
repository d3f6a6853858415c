"""Settings of the failure detectors: published names, published defaults and their sources.

All times are nanoseconds. A setting that is left out has its published default, scaled: the
scenario's heartbeat interval takes the place of the published interval, and every other time is
scaled with it. Counts, factors and thresholds are not scaled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

from nodes.membership.detectors.phi import deviations_at

SECOND: Final = 1_000_000_000


class _Scaled:
    """Settings of which some are a share of the interval, written as (times, parts)."""

    shares: ClassVar[Mapping[str, tuple[int, int]]] = {}

    @classmethod
    def preset(cls, interval_ns: int, **given: Any) -> Self:
        """Return the settings for an interval; those that are given take precedence."""
        scaled = {n: interval_ns * times // parts for n, (times, parts) in cls.shares.items()}
        return cls(**{**scaled, **given})


@dataclass(frozen=True, kw_only=True)
class FixedSettings(_Scaled):
    """Linux-HA's heartbeat 3 (ha.cf as shipped: keepalive 2, warntime 10, deadtime 30).

    Without ``deadtime`` the scenario's ``misses`` decide, so only ``warntime`` is scaled: it is a
    third of ``deadtime``, as shipped. Without ``initdead`` the daemon's grace time holds.
    """

    kind: ClassVar = "fixed"
    published: ClassVar = ("keepalive", 2 * SECOND)

    deadtime_ns: int | None = None
    warntime_ns: int | None = None
    initdead_ns: int | None = None

    @classmethod
    def preset(cls, interval_ns: int, **given: Any) -> Self:
        """Return the settings for an interval; those that are given take precedence."""
        if given.get("deadtime_ns") is not None:
            given.setdefault("warntime_ns", given["deadtime_ns"] // 3)
        return super().preset(interval_ns, **given)


@dataclass(frozen=True, kw_only=True)
class PhiSettings(_Scaled):
    """Akka's cluster failure detector (akka-cluster reference.conf, akka.cluster.failure-detector).

    threshold 8.0, max-sample-size 1000, min-std-deviation 100 ms, acceptable-heartbeat-pause 3 s at
    heartbeat-interval 1 s; first-heartbeat-estimate is the heartbeat-interval. Cassandra's
    phi_convict_threshold is 8 as well.
    """

    kind: ClassVar = "phi"
    published: ClassVar = ("heartbeat_interval", SECOND)
    shares: ClassVar = {
        "min_std_deviation_ns": (1, 10),
        "acceptable_heartbeat_pause_ns": (3, 1),
        "first_heartbeat_estimate_ns": (1, 1),
    }

    threshold: float = 8.0
    max_sample_size: int = 1000
    min_std_deviation_ns: int
    acceptable_heartbeat_pause_ns: int
    first_heartbeat_estimate_ns: int


@dataclass(frozen=True, kw_only=True)
class SwimSettings(_Scaled):
    """SWIM's prototype (Das, Gupta, Motivala, DSN 2002, section 5).

    A protocol period of 2 s, one ping-req (K = 1), suspicion for 3 ceil(log(N + 1)) periods, a
    rumour told 3 ceil(log(N + 1)) times, logarithms natural. The paper sets the timeout of the
    direct ping by measured round trips; here it is a quarter of the period.
    """

    kind: ClassVar = "swim"
    published: ClassVar = ("protocol_period", 2 * SECOND)
    shares: ClassVar = {"protocol_period_ns": (1, 1), "ping_timeout_ns": (1, 4)}

    protocol_period_ns: int
    ping_timeout_ns: int
    ping_req_nodes: int = 1
    suspicion_mult: int = 3
    retransmit_mult: int = 3

    @property
    def answer_ns(self) -> int:
        """Time within which a ping has to be answered."""
        return self.ping_timeout_ns

    def transmissions(self, nodes: int) -> int:
        """Return how often a rumour is told in a group of ``nodes``."""
        return self.retransmit_mult * math.ceil(math.log(nodes + 1))

    def suspicion_ns(self, nodes: int) -> int:
        """Return how long a suspicion lasts in a group of ``nodes``."""
        return self.suspicion_mult * math.ceil(math.log(nodes + 1)) * self.protocol_period_ns

    def bound_ns(self, nodes: int) -> int:
        """Return the longest time after which one observer alone takes a silent peer for dead.

        It is made of two rounds of probing less one probe, the period of the probe that fails, and
        the suspicion.
        """
        return (2 * (nodes - 1) + 1) * self.protocol_period_ns + self.suspicion_ns(nodes)


@dataclass(frozen=True, kw_only=True)
class LifeguardSettings(_Scaled):
    """HashiCorp's memberlist (DefaultLANConfig in its config.go), which has Lifeguard.

    ProbeInterval 1 s, ProbeTimeout 500 ms, IndirectChecks 3, SuspicionMult 4,
    SuspicionMaxTimeoutMult 6, AwarenessMaxMultiplier 8, RetransmitMult 4, GossipInterval 200 ms,
    GossipNodes 3. Health scales interval and timeout, as in the paper (memberlist scales the
    interval alone, and also tries TCP).
    """

    kind: ClassVar = "lifeguard"
    published: ClassVar = ("probe_interval", SECOND)
    shares: ClassVar = {
        "probe_interval_ns": (1, 1),
        "probe_timeout_ns": (1, 2),
        "gossip_interval_ns": (1, 5),
    }

    probe_interval_ns: int
    probe_timeout_ns: int
    indirect_checks: int = 3
    suspicion_mult: int = 4
    suspicion_max_timeout_mult: int = 6
    awareness_max_multiplier: int = 8
    retransmit_mult: int = 4
    gossip_interval_ns: int
    gossip_nodes: int = 3

    @property
    def answer_ns(self) -> int:
        """Time within which a ping has to be answered."""
        return self.probe_timeout_ns

    def as_swim(self) -> SwimSettings:
        """Return the settings that plain SWIM has too."""
        return _MemberlistSwim(
            protocol_period_ns=self.probe_interval_ns,
            ping_timeout_ns=self.probe_timeout_ns,
            ping_req_nodes=self.indirect_checks,
            suspicion_mult=self.suspicion_mult,
            retransmit_mult=self.retransmit_mult,
        )

    def confirmations(self, nodes: int) -> int:
        """Return how many confirmations make a suspicion shortest (state.go, suspectNode)."""
        wanted = max(0, self.suspicion_mult - 2)
        return wanted if nodes - 2 >= wanted else 0

    def suspicion_ns(self, nodes: int, confirmed: int) -> int:
        """Return how long a suspicion lasts that ``confirmed`` other nodes share (suspicion.go).

        The least is suspicion_mult x max(1, log10 nodes) intervals. Without a confirmation the
        suspicion lasts suspicion_max_timeout_mult times as long; it shrinks to the least with the
        logarithm of the number of confirmations.
        """
        least = self.least_suspicion_ns(nodes)
        enough = self.confirmations(nodes)
        if enough < 1:
            return least
        most = least * self.suspicion_max_timeout_mult
        share = math.log(confirmed + 1) / math.log(enough + 1)
        return max(least, int(most - share * (most - least)))

    def least_suspicion_ns(self, nodes: int) -> int:
        """Return how long a suspicion lasts that enough other nodes share."""
        scale = max(1.0, math.log10(max(1, nodes)))
        return int(self.suspicion_mult * scale * self.probe_interval_ns)

    def bound_ns(self, nodes: int) -> int:
        """Return the longest time until one observer, in its worst health, finds a peer dead."""
        slow = self.awareness_max_multiplier * self.probe_interval_ns
        return (2 * (nodes - 1) + 1) * slow + self.suspicion_ns(nodes, 0)


@dataclass(frozen=True, kw_only=True)
class _MemberlistSwim(SwimSettings):
    def transmissions(self, nodes: int) -> int:
        """Memberlist's retransmitLimit (util.go): its logarithm is to the base of ten."""
        return self.retransmit_mult * math.ceil(math.log10(nodes + 1))


Settings = FixedSettings | PhiSettings | SwimSettings | LifeguardSettings
KINDS: Final[Mapping[str, type[Settings]]] = {
    "fixed": FixedSettings,
    "phi": PhiSettings,
    "swim": SwimSettings,
    "lifeguard": LifeguardSettings,
}


def to_record(settings: Settings) -> dict[str, Any]:
    """Return the settings as a daemon's configuration has them."""
    return {"kind": settings.kind, **asdict(settings)}


def from_record(record: Mapping[str, Any]) -> Settings:
    """Return the settings that ``to_record`` made a record of; else KeyError or TypeError."""
    values = dict(record)
    return KINDS[values.pop("kind")](**values)


def silence_ns(settings: Settings, nodes: int, interval_ns: int, misses: int) -> int:
    """Return the silence after which a peer is usually taken for dead in a group of ``nodes``.

    Detectors that wait for heartbeats count from the last heartbeat (phi: of a peer that was always
    on time); detectors that probe count from the beginning of the probe that fails.
    """
    match settings:
        case FixedSettings():
            return interval_ns * misses if settings.deadtime_ns is None else settings.deadtime_ns
        case PhiSettings():
            tail = deviations_at(settings.threshold) * settings.min_std_deviation_ns
            return max(1, int(interval_ns + settings.acceptable_heartbeat_pause_ns + tail))
        case SwimSettings():
            return settings.protocol_period_ns + settings.suspicion_ns(nodes)
        case LifeguardSettings():
            return settings.probe_interval_ns + settings.least_suspicion_ns(nodes)
