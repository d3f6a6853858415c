"""``faults:`` of a scenario: causes of trouble beside a crunch, each begun and undone on time.

``after`` counts from the begin of the inject phase, ``for`` from the fault's own. A fault without
``for`` lasts until the injection is over. Durations are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from crunchbed.scenario import kinds
from crunchbed.scenario.cluster import LABELS
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText, Target
from crunchbed.scenario.section import Section
from crunchbed.scenario.units import format_duration

STORAGE: Final = "storage"
CONTROLLER: Final = "controller"
RANDOM: Final = "random"
STALLED_DAEMONS: Final = ("heartbeat", "service", "initiator", "traffic")
MOST_FAULTS: Final = 1000

Host = Annotated[
    str,
    kinds.text("a cluster node such as n1, storage, or random", r"n[1-9]\d{0,3}|storage|random"),
]
Node = Annotated[str, kinds.text("a cluster node such as n1", r"n[1-9]\d{0,3}")]
Sender = Annotated[
    str, kinds.text("a cluster node such as n1, or storage", r"n[1-9]\d{0,3}|storage")
]


def _names(value: object) -> tuple[str, ...]:
    expected = "a cluster node such as n1, random, or a list of distinct nodes"
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        kinds.reject(expected)
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        kinds.reject(expected)
    if RANDOM in names and len(names) > 1:
        kinds.reject(expected)
    return tuple(names)


def _daemons(value: object) -> object:
    return STALLED_DAEMONS if value == "all" else value


class FaultSection(Section):
    """What every kind of fault has; ``jitter`` delays it by what the seed draws within it."""

    kind: str
    after: Annotated[int, kinds.duration("0s"), DurationText] = 1_000_000_000
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 0

    @property
    def lasts_ns(self) -> int | None:
        """From its begin to its undo; None until the injection is over."""
        length: int | None = getattr(self, "length", None)
        return length

    @property
    def targets(self) -> tuple[str, ...]:
        """The hosts that it hits."""
        target: str | tuple[str, ...] = getattr(self, "target")  # noqa: B009 - of every kind
        return (target,) if isinstance(target, str) else target


class Lasting(FaultSection):
    """A fault that is over after a time."""

    length: Annotated[int, kinds.duration("1ms"), DurationText] = Field(
        default=2_000_000_000, alias="for"
    )


class LinkDown(Lasting):
    """The host's switch ports are down, or that of one network: the carrier is gone."""

    kind: Literal["link-down"]
    target: Host = "n1"
    network: Annotated[str | None, kinds.choice_or_none(LABELS)] = None


class Partition(Lasting):
    """The nodes hear nothing of the rest of the cluster, nor the rest of them.

    The storage host stays reachable for all.
    """

    kind: Literal["partition"]
    target: Annotated[tuple[str, ...], BeforeValidator(_names)] = ("n1",)


class Loss(Lasting):
    """The node loses a share of the packets that come to it, from all or from one sender."""

    kind: Literal["loss"]
    target: Target = "n1"
    share: Annotated[float, kinds.fraction(0.001, 1)] = 0.3
    sender: Sender | None = Field(default=None, alias="from")


class Delay(Lasting):
    """Every packet to the host waits this long at its switch port."""

    kind: Literal["delay"]
    target: Host = "n1"
    delay: Annotated[int, kinds.duration("1us", "10s"), DurationText] = 100_000_000


class NodeCrash(FaultSection):
    """Power off without a fence; on again when it is fenced, or after ``for``."""

    kind: Literal["node-crash"]
    target: Target = "n1"
    length: Annotated[int | None, kinds.duration_or_none("1ms"), kinds.DurationTextOrNone] = Field(
        default=None, alias="for"
    )


class AgentCrash(Lasting):
    """The node's agent is killed; after ``for`` another goes on where it was."""

    kind: Literal["agent-crash"]
    target: Target = "n1"


class ControllerCrash(Lasting):
    """The OpenFlow controller is killed; after ``for`` another takes over."""

    kind: Literal["controller-crash"]
    target: Annotated[str, kinds.choice((CONTROLLER,))] = CONTROLLER


class SwitchCrash(Lasting):
    """A switch loses power: all its ports are down; after ``for`` it starts anew."""

    kind: Literal["switch-crash"]
    target: Annotated[str, kinds.text("a switch such as s1", r"s[1-9]\d?")] = "s1"


class TargetCrash(Lasting):
    """The block target is killed; after ``for`` it is started again."""

    kind: Literal["target-crash"]
    target: Annotated[str, kinds.choice((STORAGE,))] = STORAGE


class SlowDisk(Lasting):
    """Every write of the target takes longer by ``wdelay``."""

    kind: Literal["slow-disk"]
    target: Annotated[str, kinds.choice((STORAGE,))] = STORAGE
    wdelay: Annotated[int, kinds.duration("1ms", "60s"), DurationText] = 100_000_000


class Stall(Lasting):
    """Daemons of a node are stopped where they stand (SIGSTOP), and go on afterwards (SIGCONT)."""

    kind: Literal["stall"]
    target: Target = "n1"
    daemons: Annotated[
        tuple[str, ...], kinds.subset(STALLED_DAEMONS, least=1), BeforeValidator(_daemons)
    ] = ("heartbeat",)


class Burst(FaultSection):
    """Normal tasks of a node want ``pages``: a second crunch beside the scenario's.

    With ``work-of`` they are the tasks of that node, and come over when it goes down, which
    ``takes`` a while.
    """

    kind: Literal["burst"]
    target: Target = "n2"
    pages: kinds.Pages = 12_000
    rate: Annotated[int, kinds.whole("pages a second", 1)] = 100_000_000
    work_of: Node | None = Field(default=None, alias="work-of")
    takes: Annotated[int, kinds.duration("0s", "60s"), DurationText] = 0


class ArpExpiry(FaultSection):
    """The node forgets the hardware addresses of its neighbours, and has to ask for them."""

    kind: Literal["arp-expiry"]
    target: Target = "n1"


class ResizeReserve(Lasting):
    """The node's reserve has ``pages`` for a while; one that does not fit is refused."""

    kind: Literal["resize-reserve"]
    target: Target = "n1"
    pages: kinds.Pages = 64


Fault = Annotated[
    LinkDown
    | Partition
    | Loss
    | Delay
    | NodeCrash
    | AgentCrash
    | ControllerCrash
    | SwitchCrash
    | TargetCrash
    | SlowDisk
    | Stall
    | Burst
    | ArpExpiry
    | ResizeReserve,
    Field(discriminator="kind"),
]
MODELS: Final[dict[str, type[FaultSection]]] = {
    "link-down": LinkDown,
    "partition": Partition,
    "loss": Loss,
    "delay": Delay,
    "node-crash": NodeCrash,
    "agent-crash": AgentCrash,
    "controller-crash": ControllerCrash,
    "switch-crash": SwitchCrash,
    "target-crash": TargetCrash,
    "slow-disk": SlowDisk,
    "stall": Stall,
    "burst": Burst,
    "arp-expiry": ArpExpiry,
    "resize-reserve": ResizeReserve,
}
FAULT_KINDS: Final = tuple(MODELS)


def _list(value: object) -> tuple[object, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_FAULTS:
        kinds.reject(f"a list of faults, at most {MOST_FAULTS}, each with kind and target")
    return tuple(value)


Faults = Annotated[tuple[Fault, ...], BeforeValidator(_list)]


def contradictions(faults: tuple[Fault, ...], facts: ClusterFacts) -> Iterator[Contradiction]:
    """Find what is wrong between the faults and the rest of the scenario."""
    for index, fault in enumerate(faults):
        at = f"faults[{index}]"
        yield from _hosts(facts, at, fault)
        yield from _time(facts, at, fault)
        if isinstance(fault, LinkDown):
            known = facts.networks_of(fault.target)
            if fault.network not in (None, *known):
                yield f"{at}.network", f"one of {', '.join(known)}", str(fault.network)
        if fault.kind == "controller-crash" and facts.controller == "none":
            expected = "another kind where cluster.controller is none"
            yield f"{at}.kind", expected, "controller-crash"
        if fault.kind == "slow-disk" and facts.pair:
            yield (
                f"{at}.kind",
                "another kind where cluster nodes serve: slowing the target is restarting it",
                "slow-disk with block_io.pair",
            )
        if fault.kind == "slow-disk" and facts.transport != "nbd":
            yield (
                f"{at}.kind",
                "another kind with this transport: the delay filter is nbdkit's",
                f"slow-disk with block_io.transport {facts.transport}",
            )


def _hosts(facts: ClusterFacts, at: str, fault: Fault) -> Iterator[Contradiction]:
    if isinstance(fault, SwitchCrash):
        if fault.target not in facts.switches:
            yield f"{at}.target", f"one of {', '.join(facts.switches)}", fault.target
        return
    names = facts.node_names
    known = (*names, RANDOM, STORAGE, CONTROLLER)
    for target in fault.targets:
        if target not in known or (target == STORAGE and fault.kind == "partition"):
            storage = fault.kind in ("link-down", "delay")
            expected = f"n1 to {names[-1]}, random or storage" if storage else _nodes(names)
            yield f"{at}.target", expected, target
    if fault.kind == "partition" and len(fault.targets) >= len(names):
        yield f"{at}.target", f"fewer than all {len(names)} nodes", f"{len(fault.targets)}"
    if fault.kind == "burst":
        yield from _writers(facts, at, fault)
    if fault.kind == "loss" and fault.sender not in (None, *names, STORAGE):
        yield f"{at}.from", f"n1 to {names[-1]}, or storage", str(fault.sender)


def _writers(facts: ClusterFacts, at: str, fault: Burst) -> Iterator[Contradiction]:
    writers = ", ".join(facts.writers)
    for target in fault.targets:
        if target in facts.pair:
            yield f"{at}.target", f"a node that writes: {writers}", target
    if fault.work_of is not None and fault.work_of not in facts.node_names:
        yield f"{at}.work-of", _nodes(facts.node_names), fault.work_of
    if fault.work_of in fault.targets:
        yield f"{at}.work-of", "another node than target", str(fault.work_of)


def _nodes(names: tuple[str, ...]) -> str:
    return f"n1 to {names[-1]}, or random"


def _time(facts: ClusterFacts, at: str, fault: Fault) -> Iterator[Contradiction]:
    end = fault.after + fault.jitter + (fault.lasts_ns or 0)
    if end > facts.inject_ns:
        inject = format_duration(facts.inject_ns)
        yield (
            f"{at}.after" if fault.lasts_ns is None else f"{at}.for",
            f"after + jitter + for within phases.inject ({inject})",
            format_duration(end),
        )
