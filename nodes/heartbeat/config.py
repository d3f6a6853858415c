"""The heartbeat daemon's configuration file.

Written by the runner, so checked only as far as a mistake would otherwise be hard to find. Plain
dataclasses: importing pydantic would double the daemon's start-up time, and a run may start 32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodes.membership.detectors.settings import FixedSettings, Settings, from_record
from nodes.settings import read_settings
from reserve_agent.errors import BadInput

DEFAULT_PORT = 7405
DEFAULT_GRACE_NS = 5_000_000_000


@dataclass(frozen=True)
class Peer:
    """Where another node is: its index in the cluster and its IPv4 address on every ring."""

    index: int
    address: str
    other_addresses: Sequence[str] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """One for each ring."""
        return (self.address, *self.other_addresses)


@dataclass(frozen=True, kw_only=True)
class HeartbeatConfig:
    """Settings of one daemon; all times in nanoseconds.

    Attributes:
        node: logical name.
        index: 0..63, its place in the order of coordinators.
        address: the node's own IPv4 address, which the socket is bound to; with several rings
            that on the first.
        other_addresses: those on the other rings.
        peers: the other configured nodes by name.
        interval_ns: time between two heartbeats.
        misses: misses in a row that make a suspicion, where the detector leaves it to that.
        events: the agent's Unix socket.
        fence: the fence service's Unix socket.
        port: UDP port of all nodes.
        incarnation: how often the node has booted; the same everywhere at the first start.
        joining: True after a reboot.
        fence_timeout_ns: when an unanswered fence request is made again.
        memalloc: ask for the receive reserve; the daemon ends with 1 where it is refused.
        phase_ns: heartbeats go out when the clock is this far into an interval.
        late_ns: lateness of the daemon itself that it reports; half an interval when left out.
        grace_ns: how long a peer may take until it is first heard.
        detector: which failure detector, with its parameters.
        listeners: Unix sockets of others on the node that are told of every view.
    """

    node: str
    index: int
    address: str
    peers: Mapping[str, Peer]
    interval_ns: int
    misses: int
    events: str
    fence: str
    other_addresses: Sequence[str] = ()
    port: int = DEFAULT_PORT
    incarnation: int = 0
    joining: bool = False
    fence_timeout_ns: int = 2_000_000_000
    memalloc: bool = False
    phase_ns: int = 0
    late_ns: int | None = None
    grace_ns: int = DEFAULT_GRACE_NS
    detector: Settings = field(default_factory=FixedSettings)
    listeners: Sequence[str] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The node's own, one for each ring."""
        return (self.address, *self.other_addresses)

    @property
    def indexes(self) -> dict[str, int]:
        """Index of every configured node by name, this one included."""
        return {self.node: self.index} | {name: peer.index for name, peer in self.peers.items()}

    @property
    def lateness_ns(self) -> int:
        """``late_ns``, or its default: an answer to a probe has to come sooner than a heartbeat."""
        if self.late_ns is not None:
            return self.late_ns
        answer = getattr(self.detector, "answer_ns", self.interval_ns)
        return min(self.interval_ns, int(answer)) // 2


def load_config(path: Path) -> HeartbeatConfig:
    """Read a configuration file.

    Raises:
        BadInput: it cannot be read, or has an unknown, missing or impossible setting.
    """
    try:
        record = read_settings(path, HeartbeatConfig)
        peers = {name: Peer(**peer) for name, peer in record.pop("peers").items()}
        if "detector" in record:
            record["detector"] = from_record(record["detector"])
        config = HeartbeatConfig(peers=peers, **record)
        if config.interval_ns < 2 or config.misses < 1 or config.grace_ns < 0:
            raise BadInput(f"{path}: interval_ns, misses and grace_ns must be positive")
        if any(len(peer.addresses) != len(config.addresses) for peer in config.peers.values()):
            raise BadInput(f"{path}: every node needs an address on each ring")
        if not 0 <= config.incarnation < 1 << 16:
            raise BadInput(f"{path}: incarnation {config.incarnation} does not fit 16 bits")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{path}: {error}") from error
    return config
