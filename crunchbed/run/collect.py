"""After the run: what every part still has to say, and the read-back of acknowledged blocks."""

from __future__ import annotations

from contextlib import suppress

from crunchbed.history.recorder import Recorder
from crunchbed.run.world import STORAGE, World
from reserve_agent.contract.events.writes import VerifyResult, WritesVerified
from reserve_agent.errors import CrunchbedError


def count_reserve_users(world: World) -> None:
    """Have every node write down which sockets its reserve went to, while there are any."""
    for node in world.nodes.values():
        with suppress(CrunchbedError):  # what a node without an agent does not tell
            node.count_reserve_users()


def count_packets(world: World) -> None:
    """Have every node and every switch write its packet counters down."""
    for node in world.nodes.values():
        with suppress(CrunchbedError):
            node.count_packets()
    world.count_packets()


def verify_writes(world: World, recorder: Recorder) -> None:
    """Read every acknowledged block back and record what was found.

    Every node is told how many of its blocks were not there, for its metrics.
    """
    found = world.read_back()
    for name, node in world.nodes.items():
        with suppress(CrunchbedError):
            node.note(WritesVerified(lost=found.bad_of_node.get(name, 0)))
    result = VerifyResult(
        node=STORAGE, checked=found.checked, ok=found.ok, lost=found.lost, corrupt=found.corrupt
    )
    recorder.record(result)
