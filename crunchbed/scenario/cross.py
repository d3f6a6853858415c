"""Contradictions between keys of a scenario that are each fine alone.

Each function gets the sections that it compares. ``Scenario`` calls all of them when it is made,
so that every ``Scenario`` is free of contradictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crunchbed.expect import parse
from crunchbed.faults.kinds import Fault
from crunchbed.scenario.crunch import AnyCrunch
from crunchbed.scenario.detector import AnyDetector
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.section import Memory
from crunchbed.scenario.units import format_duration, format_size
from reserve_agent.contract.packets import PAGE_BYTES

_INITIATORS = 1


def memory(memory: Memory, reserve: int, request: int) -> Iterator[Contradiction]:
    """Find what the node's memory has no room for.

    ``reserve`` has pages, as the section says, or as computed for ``auto``; ``request`` has the
    bytes of a block write.
    """
    if not isinstance(memory.kernel, str) and memory.nic != memory.kernel.card.name:
        card = f"{memory.kernel.card.name}, the card of the profile in memory.kernel"
        yield "memory.nic", card, memory.nic
    free = (memory.pages - memory.clean - reserve) * PAGE_BYTES
    told = f"{reserve}, which is auto here" if memory.reserve == "auto" else f"{reserve}"
    if reserve >= memory.pages:
        yield "memory.reserve", f"fewer pages than memory.pages ({memory.pages})", told
    elif memory.clean + reserve >= memory.pages:
        most = memory.pages - reserve - 1
        yield "memory.clean", f"at most {most} so that clean + reserve < pages", f"{memory.clean}"
    elif request > free:
        yield (
            "block_io.request",
            f"at most the {format_size(free)} of a node that are neither clean nor reserve, "
            "else no write is ever full",
            format_size(request),
        )


def events(events: str | None, backend: str) -> Iterator[Contradiction]:
    """Find a summary that only a simulation can make of its events."""
    if events == "summary" and backend != "simulation":
        yield "events", f"all with backend {backend}: only simulation has a summary", events


def network(
    facts: ClusterFacts, faults: tuple[Fault, ...], *, netem: bool
) -> Iterator[Contradiction]:
    """Find what the network cannot do beside another section; ``netem``: its links use it."""
    if facts.topology == "redundant" and facts.pair:
        yield "block_io.pair", "[] where cluster.topology is redundant", _listed(facts.pair)
    if netem and any(fault.kind == "delay" for fault in faults):
        yield "faults", "no delay where cluster.delay or cluster.loss is set", "delay"


def pair(
    facts: ClusterFacts, crunch: AnyCrunch | None, *, confirm: bool
) -> Iterator[Contradiction]:
    """Find what does not go with the pair that serves; ``confirm`` is that of ``fencing``."""
    names = facts.node_names
    if not facts.pair:
        if not confirm:
            yield "fencing.confirm", "true where block_io.pair is empty", "false"
        return
    shown = _listed(facts.pair)
    if not set(facts.pair) <= set(names):
        yield "block_io.pair", f"two of the cluster nodes n1 to {names[-1]}", shown
        return
    if len(names) < len(facts.pair) + _INITIATORS:
        yield "block_io.pair", "a node beside the pair, which writes", shown
    if crunch is not None and crunch.kind == "writeback" and crunch.target in facts.pair:
        yield (
            "crunch.target",
            f"a node that writes, so none of block_io.pair {shown}",
            crunch.target,
        )


def deadline(
    facts: ClusterFacts, detector: AnyDetector, control_ns: int
) -> Iterator[Contradiction]:
    """Find a deadline that the control phase is too short for."""
    if facts.removal_ns > control_ns:
        key, words = _deadline_of(facts.membership, detector)
        yield (
            key,
            f"a deadline{words} within phases.control ({format_duration(control_ns)}), "
            "else nothing shows that the testbed itself misses none",
            format_duration(facts.removal_ns),
        )


def _deadline_of(membership: str, detector: AnyDetector) -> tuple[str, str]:
    """The key that decides the deadline, and in words what the deadline is made of."""
    if membership == "corosync":
        return "corosync.token", " (corosync's token + consensus)"
    if detector.model_dump() == {"kind": "fixed"}:
        return "heartbeat.misses", " (interval x misses)"
    return "detector", ""


def ports(port_of: Mapping[str, int]) -> Iterator[Contradiction]:
    """Find a port that two sections use: a port decides a packet's class, whatever its protocol."""
    taken: dict[int, str] = {}
    for section, port in port_of.items():
        if port in taken:
            yield f"{section}.port", f"another port than {taken[port]}.port", f"{port}"
        taken[port] = section


def after(
    after_ns: int, steady: tuple[str, ...], expect: tuple[str, ...]
) -> Iterator[Contradiction]:
    """Find figures of the phase after the recovery where that phase has no time."""
    figures = [name.figure for text in expect for name in parse(text).names()]
    if after_ns == 0 and (steady or any(figure.startswith("after.") for figure in figures)):
        why = "steady" if steady else "what is expected of after"
        yield "phases.after", f"a time such as 2s, in which {why} is measured", "0s"


def undecidable(
    facts: ClusterFacts,
    expect: tuple[str, ...],
    *,
    shed: bool,
    heard_by_all: bool,
    faults: bool,
    kernels: bool,
) -> Iterator[Contradiction]:
    """Find expectations of a figure or a node that no run of this scenario has.

    ``heard_by_all`` says whether every node listens to the heartbeats of every other, and
    ``faults`` whether there are faults beside the crunch, and ``kernels`` whether every node has a
    kernel of its own.
    """
    needs = {
        "memalloc_failures": (kernels, "cluster.backend machines"),
        "switch_drops": (facts.controller != "none", "cluster.controller openflow"),
        "shed_episodes": (shed, "shed"),
        "shed_too_late": (shed, "shed"),
        "reaction_p50_seconds": (shed, "shed"),
        "reaction_p99_seconds": (shed, "shed"),
        "failover_seconds": (bool(facts.pair), "block_io.pair"),
        "failover_longest_seconds": (bool(facts.pair), "block_io.pair"),
        "path_restore_seconds": (faults, "faults"),
        "rings_restore_seconds": (faults, "faults"),
        "quorum_lost_seconds": (heard_by_all, "membership crunchbed and detector fixed or phi"),
    }
    for index, text in enumerate(expect):
        for name in parse(text).names():
            if name.node is not None and name.node not in facts.node_names:
                yield f"expect[{index}]", f"nodes n1 to {facts.node_names[-1]}", name.node
            measured, what = needs.get(name.figure, (True, ""))
            if not measured:
                yield (
                    f"expect[{index}]",
                    "figures that this scenario measures",
                    f"{name.figure}, which needs {what}",
                )


def _listed(names: tuple[str, ...]) -> str:
    return f"[{', '.join(names)}]"
