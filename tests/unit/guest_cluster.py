"""A cluster of fake guests with their attendants' lives, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nodes.guest.config import AttendantConfig, GuestDisk, GuestHeartbeat
from nodes.guest.layout import SHARED_BYTES
from nodes.guest.life import Boot, GuestLife
from nodes.guest.ring import SharedMemory
from nodes.heartbeat.config import NetworkPeer
from nodes.membership.fences import FenceAnswer
from reserve_agent.contract.events.base import Event
from tests.unit.fake_guest import MS, FakeGuest

INTERVAL_NS = 100 * MS
STEP_NS = MS // 4
POLL_NS = 2 * MS
START_NS = 5_000_000_000_000
E = TypeVar("E", bound=Event)


def config(
    name: str, names: list[str], heartbeat_changes: dict[str, Any] | None = None, **changes: Any
) -> AttendantConfig:
    """Return the configuration of one node's attendant."""
    addresses = {each: f"10.0.0.{index + 1}" for index, each in enumerate(names)}
    index = names.index(name)
    heartbeat = GuestHeartbeat(
        node=name,
        index=index,
        peers={
            each: NetworkPeer(index=place, addresses=(addresses[each],))
            for place, each in enumerate(names)
            if each != name
        },
        port=7405,
        interval_ns=INTERVAL_NS,
        misses=3,
        phase_ns=INTERVAL_NS * index // len(names),
        **(heartbeat_changes or {}),
    )
    nowhere = Path("/nonexistent")
    disk = GuestDisk(address="10.0.0.99", port=10809, first_block=0, region_blocks=4096)
    settings: dict[str, Any] = {
        "memory": nowhere,
        "socket": nowhere,
        "history": nowhere,
        "fence": nowhere,
        "disk": disk,
    }
    return AttendantConfig(
        node=name,
        run="k3xq",
        scenario="control",
        heartbeat=heartbeat,
        **(settings | changes),
    )


class NodeFence:
    """A fence service that notes what one node asks for, and never answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def request(self, target: str, view: int) -> bool:
        """See ``Fence``."""
        self.asked.append(target)
        return view > 0

    def answers(self) -> list[FenceAnswer]:
        """See ``Fence``."""
        return []


class GuestNode:
    """A node: its guest, and the life that its attendant follows."""

    def __init__(
        self, settings: AttendantConfig, now: Callable[[], int], guest: Callable[..., FakeGuest]
    ) -> None:
        self.events: list[Event] = []
        self.fence = NodeFence()
        self.memory = memoryview(bytearray(SHARED_BYTES))
        self.config = settings
        self._now, self._guest = now, guest
        self.boot(0)

    def boot(self, incarnation: int) -> None:
        """Begin another life."""
        self.life = GuestLife(
            self.config,
            Boot(incarnation, self.config.policy, 9),
            SharedMemory(self.memory),
            self.fence,
            self.events.append,
            self._now,
        )
        self.guest = self._guest(self.memory)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return [event for event in self.events if type(event) is kind]


class GuestCluster:
    """``count`` nodes that are up; datagrams take a quarter of a millisecond."""

    def __init__(self, count: int = 3, **changes: Any) -> None:
        self.ns = START_NS
        names = [f"n{index + 1}" for index in range(count)]
        self._under_way: list[tuple[int, str, str, bytes]] = []
        self._sample_ns = 0
        self.nodes: dict[str, GuestNode] = {}
        for index, name in enumerate(names):
            self.nodes[name] = GuestNode(
                config(name, names, **changes),
                self.now,
                lambda memory, index=index: FakeGuest(
                    memory,
                    f"10.0.0.{index + 1}",
                    self.now,
                    START_NS - (index + 1) * 17 * MS,
                    self._deliver,
                ),
            )

    def now(self) -> int:
        """The host's clock."""
        return self.ns

    def _deliver(self, source: str, target: str, payload: bytes) -> None:
        self._under_way.append((self.ns + STEP_NS, source, target, payload))

    def boot(self) -> None:
        """Have every agent begin, and heartbeats and writes go on for a second."""
        for node in self.nodes.values():
            node.guest.boot()
        self.run(1000)

    def run(self, ms: float) -> None:
        """Let time pass."""
        until = self.ns + round(ms * MS)
        by_address = {node.guest.address: node.guest for node in self.nodes.values()}
        while self.ns < until:
            self.ns += STEP_NS
            due = [one for one in self._under_way if one[0] <= self.ns]
            self._under_way = [one for one in self._under_way if one[0] > self.ns]
            for _, source, target, payload in due:
                by_address[target].receive(source, payload)
            for node in self.nodes.values():
                node.guest.run()
                if self.ns % POLL_NS < STEP_NS:
                    node.life.step()
            if self.ns >= self._sample_ns:
                self._sample_ns = self.ns + 50 * MS
                for node in self.nodes.values():
                    node.life.sample(self.ns)
