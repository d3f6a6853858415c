"""What a node's heartbeats and membership are set to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodes.membership.detectors.settings import FixedSettings, Settings, from_record
from reserve_agent.errors import BadInput

DEFAULT_GRACE_NS = 5_000_000_000


@dataclass(frozen=True)
class Peer:
    """Another node; ``index`` is its place in the order of coordinators, from 0."""

    index: int


@dataclass(frozen=True, kw_only=True)
class HeartbeatSettings:
    """Settings of one node, whatever its clock and its network; all times in nanoseconds.

    Attributes:
        index: 0..63, its place in the order of coordinators.
        peers: The other configured nodes by name.
        interval_ns: Time between two heartbeats.
        misses: Misses in a row that make a suspicion, where the detector does not say otherwise.
        incarnation: How often the node has booted; the same everywhere at the first start.
        joining: True after a reboot.
        fence_timeout_ns: When an unanswered fence request is made again.
        phase_ns: Heartbeats go out when the clock is this far into an interval.
        late_ns: Lateness of the node itself that it reports; half an interval when left out.
        grace_ns: How long a peer may take until it is first heard.
        tells_quorum: Whether a view is told again, as not quorate, where the node has lost the
            majority of it, and once more when the majority is back.
        reports: Whether it reports every second what it has received; otherwise somebody asks
            ``HeartbeatNode.received`` in the end.
    """

    node: str
    index: int
    peers: Mapping[str, Peer]
    interval_ns: int
    misses: int
    incarnation: int = 0
    joining: bool = False
    fence_timeout_ns: int = 2_000_000_000
    phase_ns: int = 0
    late_ns: int | None = None
    grace_ns: int = DEFAULT_GRACE_NS
    detector: Settings = field(default_factory=FixedSettings, metadata={"read": from_record})
    tells_quorum: bool = False
    reports: bool = True

    def __post_init__(self) -> None:
        """Refuse what is impossible, as BadInput."""
        if self.interval_ns < 2 or self.misses < 1 or self.grace_ns < 0:
            raise BadInput("interval_ns, misses and grace_ns must be positive")
        if not 0 <= self.incarnation < 1 << 16:
            raise BadInput(f"incarnation {self.incarnation} does not fit 16 bits")

    @property
    def rings(self) -> int:
        """How many rings the heartbeats go by."""
        return 1

    @property
    def indexes(self) -> dict[str, int]:
        """Index of every configured node by name, this node included."""
        return {self.node: self.index} | {name: peer.index for name, peer in self.peers.items()}

    @property
    def lateness_ns(self) -> int:
        """``late_ns``, or its default: an answer to a probe has to come sooner than a heartbeat."""
        if self.late_ns is not None:
            return self.late_ns
        answer = getattr(self.detector, "answer_ns", self.interval_ns)
        return min(self.interval_ns, int(answer)) // 2
