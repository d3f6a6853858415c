"""What a scenario may say: every key with its unit, bounds and default.

Inside, durations are nanoseconds, sizes bytes, data rates bits per second and memory pages of
4 KiB. ``docs/scenario-format.md`` tells users the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from crunchbed.expect import parse
from crunchbed.expect.steady import steady
from crunchbed.scenario import detector, kinds
from crunchbed.scenario.block_io import BlockIo
from crunchbed.scenario.cluster import Cluster
from crunchbed.scenario.corosync import MEMBERSHIPS, Corosync, consensus_ns, token_timeout_ns
from crunchbed.scenario.cross import first_contradiction
from crunchbed.scenario.detector import Detector, FixedDetector
from crunchbed.scenario.faults import Faults
from crunchbed.scenario.kinds import DurationText, Pages, Port, SizeText, Target
from crunchbed.scenario.section import Section
from crunchbed.scenario.shed import Shed, ShedSection
from nodes.membership.detectors.settings import silence_ns
from reserve_agent.contract.packets import (
    MAX_WINDOWS,
    MEMALLOC_CLASSES,
    POLICIES,
    SOFTNET_COST_NS,
    SOFTNET_LIMIT,
)
from reserve_agent.errors import BadInput

CRUNCH_KINDS: Final = ("writeback", "timed", "flood")


class Memory(Section):
    """A node's page pool: ``clean`` pages are used by tasks from the start."""

    pages: Pages = 16384
    clean: Annotated[int, kinds.whole("pages", 0)] = 8192
    reserve: Annotated[int | Literal["auto"], kinds.whole_or_auto("pages", 1)] = 256
    service_time: Annotated[int, kinds.duration("1us", "1s"), DurationText] = 200_000
    on_exhaustion: Annotated[str, kinds.choice(("drop", "panic"))] = "drop"


class Heartbeat(Section):
    """Without a ``detector``, ``misses`` intervals without its heartbeat make a node suspect."""

    interval: Annotated[int, kinds.duration("5ms", "60s"), DurationText] = 100_000_000
    misses: Annotated[int, kinds.whole("heartbeats", 1, 1000)] = 5
    port: Port = 7405


class Softnet(Section):
    """The input queue of the policy ``softnet``: packets it holds, and what each costs it."""

    limit: Annotated[int, kinds.whole("packets", 1, 1_000_000)] = SOFTNET_LIMIT
    cost: Annotated[int, kinds.duration("1us", "10ms"), DurationText] = SOFTNET_COST_NS


class Fencing(Section):
    """What happens to an ejected node; without ``confirm`` it is only assumed to be cut off."""

    reboot_delay: Annotated[int, kinds.duration("0s"), DurationText] = 2_000_000_000
    confirm: Annotated[bool, kinds.yes_or_no()] = True


class Traffic(Section):
    """Packets of class ``other``, for a reader on every node that is a normal task."""

    rate: Annotated[int, kinds.whole("packets a second", 0, 1_000_000)] = 1000
    size: Annotated[int, kinds.size("16B", "1400B"), SizeText] = 512
    port: Port = 9000


class WritebackCrunch(Section):
    """Normal tasks dirty ``pages`` at ``rate``; acknowledged writes free them."""

    kind: Literal["writeback"]
    target: Target = "n1"
    pages: Pages = 12000
    rate: Annotated[int, kinds.whole("pages a second", 1)] = 100_000
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 200_000_000


class TimedCrunch(Section):
    """``count`` windows of ``length`` in which a normal task finds no page, one in each ``every``.

    With ``longest`` their lengths are drawn from ``length`` to that, as many in each decade.
    ``depth`` says how much of the reserve is gone too: 0 none of it, 0.5 all that a plain
    GFP_ATOMIC allocation may take, 1 all.
    """

    kind: Literal["timed"]
    target: Target = "n1"
    count: Annotated[int, kinds.whole("windows", 1, MAX_WINDOWS)] = 100
    length: Annotated[int, kinds.duration("1us"), DurationText] = 50_000
    longest: Annotated[int, kinds.duration("1us"), DurationText] | None = None
    every: Annotated[int, kinds.duration("1us"), DurationText] = 10_000_000
    depth: Annotated[float, kinds.fraction(0, 1)] = 0.5
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 0


class FloodCrunch(Section):
    """``rate`` packets a second for a reader that does not read, until ``duration`` is over.

    With ``memalloc`` the reader's socket is a memalloc socket all the same: one that nobody
    throttles.
    """

    kind: Literal["flood"]
    target: Target = "n1"
    rate: Annotated[int, kinds.whole("packets a second", 1, 100_000)] = 6000
    duration: Annotated[int, kinds.duration("10ms"), DurationText] = 3_000_000_000
    size: Annotated[int, kinds.size("16B", "1400B"), SizeText] = 64
    port: Port = 9001
    memalloc: bool = False
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 200_000_000


class Phases(Section):
    """``control`` is measured before the fault; ``inject`` and ``recovery`` last at most this.

    ``after`` is measured once the cluster is whole again, or the recovery is over.
    """

    control: Annotated[int, kinds.duration("100ms"), DurationText] = 4_000_000_000
    inject: Annotated[int, kinds.duration("100ms"), DurationText] = 6_000_000_000
    recovery: Annotated[int, kinds.duration("0s"), DurationText] = 15_000_000_000
    after: Annotated[int, kinds.duration("0s"), DurationText] = 0


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


Crunch = Annotated[WritebackCrunch | TimedCrunch | FloodCrunch, Field(discriminator="kind")]
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
    steady: SteadyState = ()
    expect: Expectations = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        contradiction = first_contradiction(self)
        if contradiction is not None:
            key, expected, got = contradiction
            kinds.reject(expected, key=key, got=got)
        return self

    @property
    def node_names(self) -> tuple[str, ...]:
        """The cluster nodes ``n1``, ``n2``, ...; the storage host is not one of them."""
        return tuple(f"n{index}" for index in range(1, self.cluster.nodes + 1))

    @property
    def writers(self) -> tuple[str, ...]:
        """The nodes that write: all of the cluster but those that serve the device."""
        return tuple(name for name in self.node_names if name not in self.block_io.pair)

    @property
    def deadline_ns(self) -> int:
        """Nanoseconds without a heartbeat (with corosync: a token) until somebody is suspected."""
        if self.membership == "corosync":
            return token_timeout_ns(self)
        interval, misses = self.heartbeat.interval, self.heartbeat.misses
        return silence_ns(detector.settings(self), self.cluster.nodes, interval, misses)

    @property
    def removal_ns(self) -> int:
        """Nanoseconds without a heartbeat after which a peer is as good as out of the view."""
        if self.membership == "corosync":
            return self.deadline_ns + consensus_ns(self)
        return self.deadline_ns

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value as YAML would hold it; it validates to an equal one."""
        return self.model_dump(mode="json", by_alias=True)

    def with_overrides(self, overrides: Mapping[str, object]) -> Scenario:
        """Return a copy with dotted keys set, such as ``{"crunch.pages": 500}``.

        Text is read as YAML, so that a command line can say ``memalloc=[block-io]``.

        Raises:
            BadInput: a key is unknown or a value is refused; says which.
        """
        from crunchbed.scenario.overrides import apply

        return apply(self, overrides)
