"""What a scenario may say: all sections together, checked against each other.

Inside, durations are nanoseconds, sizes bytes, data rates bits per second and memory pages of
4 KiB. ``docs/scenario-format.md`` tells users the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ValidationError, model_validator

from crunchbed.expect import parse, steady
from crunchbed.faults import kinds as fault_kinds
from crunchbed.faults.kinds import Faults
from crunchbed.scenario import block_io, cluster, corosync, cross, crunch, detector, kinds, shed
from crunchbed.scenario.block_io import BlockIo
from crunchbed.scenario.cluster import Cluster
from crunchbed.scenario.corosync import MEMBERSHIPS, Corosync
from crunchbed.scenario.crunch import Crunch
from crunchbed.scenario.detector import Detector, FixedDetector
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.overrides import with_keys
from crunchbed.scenario.problems import problems
from crunchbed.scenario.profiles import Profile, profile_for
from crunchbed.scenario.section import (
    EVENTS,
    MACHINE_KEYS,
    MOST_IN_FULL,
    UNAWARE_CARDS,
    Fencing,
    Heartbeat,
    Memory,
    Phases,
    Section,
    Softnet,
    Traffic,
)
from crunchbed.scenario.shed import Shed, ShedSection
from crunchbed.scenario.sizing import reserve_pages, shortage
from nodes.membership.detectors.settings import silence_ns
from reserve_agent.contract.packets import MEMALLOC_CLASSES, POLICIES
from reserve_agent.errors import BadInput


def _expectations(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        kinds.reject("a list of comparisons such as memalloc.nodes_ejected == 0")
    return tuple(value)


def _expectation(value: object) -> str:
    if not isinstance(value, str):
        kinds.reject("a comparison such as memalloc.nodes_ejected == 0")
    try:
        return parse(value).text
    except BadInput as error:
        kinds.reject("a comparison such as memalloc.nodes_ejected == 0", got=str(error))


def _steady(value: object) -> str:
    example = "a comparison of a phase's figures such as io_errors == 0"
    if not isinstance(value, str):
        kinds.reject(example)
    try:
        return steady(value, "before").text.removeprefix("before: ")
    except BadInput as error:
        kinds.reject(example, got=str(error))


Name = Annotated[str, kinds.text("lower-case words joined by -", r"[a-z0-9]+(-[a-z0-9]+)*")]
Sentence = Annotated[str, kinds.text("one sentence")]
Expectations = Annotated[
    tuple[Annotated[str, BeforeValidator(_expectation)], ...], BeforeValidator(_expectations)
]
SteadyState = Annotated[
    tuple[Annotated[str, BeforeValidator(_steady)], ...], BeforeValidator(_expectations)
]


class Scenario(Section):
    """One experiment: a cluster, a fault, a policy and what is expected of them."""

    name: Name
    claim: Sentence
    source: Sentence | None = None
    cluster: Cluster = Cluster()
    memory: Memory = Memory()
    block_io: BlockIo = BlockIo()
    heartbeat: Heartbeat = Heartbeat()
    detector: Detector = FixedDetector()
    membership: Annotated[str, kinds.choice(MEMBERSHIPS)] = "crunchbed"
    corosync: Corosync = Corosync()
    softnet: Softnet = Softnet()
    fencing: Fencing = Fencing()
    traffic: Traffic = Traffic()
    policy: Annotated[str, kinds.choice(POLICIES)] = "memalloc"
    memalloc: Annotated[tuple[str, ...], kinds.subset(MEMALLOC_CLASSES)] = MEMALLOC_CLASSES
    enforce: Annotated[bool, kinds.yes_or_no()] = False
    shed: ShedSection = Shed()
    crunch: Crunch | None = None
    faults: Faults = ()
    phases: Phases = Phases()
    capture: Annotated[bool, kinds.yes_or_no()] = False
    events: Annotated[str, kinds.choice(EVENTS)] | None = None
    steady: SteadyState = ()
    expect: Expectations = ()

    @classmethod
    def of(cls, keys: object, where: str) -> Scenario:
        """Return the scenario that ``keys``, as ``resolved`` returns them, make up.

        No file of the user's has these keys; a message about them begins with ``where``.

        Raises:
            BadInput: a key is unknown or a value is refused; says which.
        """
        try:
            return cls.model_validate(keys)
        except ValidationError as error:
            raise BadInput(f"{where}{problems(error, cls)[0]}") from None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if found := list(self._contradictions()):
            kinds.contradict(found)
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        """Find what does not go together, in the order of the keys."""
        facts, network, heartbeat = self.facts, self.cluster, self.heartbeat
        yield from cross.events(self.events, network.backend)
        yield from cross.memory(self.memory, reserve_pages(self), self.block_io.request)
        yield from cluster.contradictions(network)
        yield from cross.network(facts, self.faults, netem=network.needs_netem)
        yield from block_io.contradictions(self.block_io, network.nodes)
        yield from detector.contradictions(self.detector, heartbeat.interval, network.nodes)
        yield from self.fencing.contradictions(facts)
        yield from cross.pair(facts, self.crunch, confirm=self.fencing.confirm)
        yield from cross.deadline(facts, self.detector, self.phases.control)
        if self.membership == "corosync":
            yield from corosync.contradictions(self.corosync, heartbeat, network.nodes)
        yield from cross.ports(self._ports())
        yield from crunch.contradictions(self.crunch, facts)
        yield from shed.contradictions(self.shed, network.controller, network.switch)
        yield from fault_kinds.contradictions(self.faults, facts)
        yield from cross.after(self.phases.after, self.steady, self.expect)

        yield from cross.undecidable(
            facts,
            self.expect,
            shed=self.shed.mode != shed.OFF,
            heard_by_all=self.heard_by_all,
            faults=bool(self.faults),
            kernels=self.cluster.backend == "machines",
        )

    def _ports(self) -> dict[str, int]:
        """Every port that a daemon of a node listens on, by the section that sets it."""
        found = {name: getattr(self, name).port for name in ("block_io", "heartbeat", "traffic")}
        if self.crunch is not None and self.crunch.kind == "flood":
            found["crunch"] = self.crunch.port
        return found

    @property
    def heard_by_all(self) -> bool:
        """Whether every node listens to the heartbeats of every other node."""
        return self.membership == "crunchbed" and self.detector.kind in ("fixed", "phi")

    @property
    def summarised(self) -> bool:
        """Whether the history counts what is calm, in place of an event for each datagram."""
        if self.events is None:
            return self.cluster.nodes > MOST_IN_FULL
        return self.events == "summary"

    @cached_property
    def facts(self) -> ClusterFacts:
        """What sections, faults and backends may ask of the cluster."""
        return ClusterFacts(
            node_names=self.node_names,
            pair=self.block_io.pair,
            topology=self.cluster.topology,
            networks=self.cluster.networks,
            storage_networks=self.cluster.storage_networks,
            switches=self.cluster.switches,
            controller=self.cluster.controller,
            transport=self.block_io.transport,
            membership=self.membership,
            removal_ns=self.removal_ns,
            inject_ns=self.phases.inject,
        )

    @property
    def no_quorum(self) -> str:
        """What a node without quorum does; left out, what its membership does by itself.

        Our own membership has no view without a majority: the last view goes on, and the service.
        """
        by_itself = "stop" if self.membership == "corosync" else "freeze"
        return self.fencing.no_quorum or by_itself

    @cached_property
    def node_names(self) -> tuple[str, ...]:
        """The cluster nodes ``n1``, ``n2``, ...; the storage host is not one of them."""
        return tuple(f"n{index}" for index in range(1, self.cluster.nodes + 1))

    @cached_property
    def _indexes(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.node_names)}

    def index_of(self, name: str) -> int:
        """Return the place of a cluster node among ``node_names``, from 0."""
        return self._indexes[name]

    @property
    def writers(self) -> tuple[str, ...]:
        """The nodes that write: all of the cluster but those that serve the device."""
        return self.facts.writers

    @property
    def deadline_ns(self) -> int:
        """Nanoseconds without a heartbeat (with corosync: a token) until somebody is suspected."""
        heartbeat, nodes = self.heartbeat, self.cluster.nodes
        if self.membership == "corosync":
            return self.corosync.token_timeout_ns(heartbeat.silence_ns, nodes)
        chosen = detector.settings(self.detector, heartbeat.interval)
        return silence_ns(chosen, nodes, heartbeat.interval, heartbeat.misses)

    @property
    def removal_ns(self) -> int:
        """Nanoseconds without a heartbeat after which a peer is as good as out of the view."""
        if self.membership == "corosync":
            consensus = self.corosync.consensus_ns(self.heartbeat.silence_ns, self.cluster.nodes)
            return self.deadline_ns + consensus
        return self.deadline_ns

    @property
    def profile(self) -> Profile | None:
        """What the memory of every node is modelled by; None: nodes are machines."""
        return None if self.cluster.backend == "machines" else profile_for(self.memory)

    @property
    def modelled(self) -> str | None:
        """The kernel profile of every node, as results name it; None: nodes are machines."""
        return None if self.profile is None else self.profile.name

    @property
    def nic(self) -> str | None:
        """The network card of every node; None: their memory knows no cards."""
        if self.cluster.backend == "machines":
            return self.memory.nic
        return None if self.profile is None or self.profile.card is None else self.memory.nic

    def warnings(self) -> Iterator[str]:
        """Yield what a run should know of and can be made in spite of, a line each."""
        if (short := shortage(self)) is not None:
            yield short
        if self.policy == "memalloc" and self.nic in UNAWARE_CARDS:
            yield (
                f"memory.nic: {self.nic} is not vm-aware: it never draws on the reserve, "
                "whatever sockets are flagged"
            )

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value as YAML would hold it; it validates to an equal one.

        A machine's default card and kernel are left out, said or not: they are the same.
        """
        written = self._said()
        if self.cluster.backend == "machines":
            for key in MACHINE_KEYS:
                if getattr(self.memory, key) == Memory.model_fields[key].default:
                    written["memory"].pop(key, None)
        return written

    def _said(self) -> dict[str, Any]:
        written = self.model_dump(mode="json", by_alias=True)
        if self.events is None:  # so that scenarios from before there was a choice stay equal
            del written["events"]
        return written

    def with_overrides(self, overrides: Mapping[str, object]) -> Scenario:
        """Return a copy with dotted keys set, such as ``{"crunch.pages": 500}``.

        Text is read as YAML, so that a command line can say ``memalloc=[block-io]``.

        Raises:
            BadInput: a key is unknown or a value is refused; says which.
        """
        resolved = self._said()
        if "port" not in self.block_io.model_fields_set:
            del resolved["block_io"]["port"]  # follows the transport, which may be overridden
        return Scenario.of(with_keys(resolved, overrides), "override ")
