"""What every section of a scenario is, and the sections that need nothing but plain keys.

Durations are nanoseconds, sizes bytes, memory pages 4 KiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    InstanceOf,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText, Pages, Port, SizeText
from crunchbed.scenario.units import format_duration
from reserve_agent.contract.packets import SOFTNET_COST_NS, SOFTNET_LIMIT
from reserve_agent.errors import BadInput
from reserve_agent.model.profiles.record import Profile, profile_of, record_of


def _one_or_by_node(check: Callable[[object], int]) -> Callable[[object], int | dict[str, int]]:
    def checked(value: object) -> int | dict[str, int]:
        if not isinstance(value, Mapping):
            return check(value)
        if not all(isinstance(key, str) for key in value):
            kinds.reject("a duration, or a mapping of nodes to durations")
        return {str(key): check(one) for key, one in value.items()}

    return checked


def _delay_text(value: int | dict[str, int]) -> str | dict[str, str]:
    if isinstance(value, int):
        return format_duration(value)
    return {node: format_duration(one) for node, one in value.items()}


CARDS: Final = ("e1000", "e1000e", "8139cp", "vmxnet3", "virtio-net", "igb")
"""Network cards, by the name of Linux' driver; the first is the default. No machine has igb."""
_IN_SCENARIO: Final = "the profile"
"""Where the profile of a resolved scenario is from, for errors."""
UNAWARE_CARDS: Final = ("virtio-net",)
"""Cards whose driver never asks for pages of the reserve (measured on 6.1 and 6.12)."""
_UNFIT_CARDS: Final = {
    "ne2k": "ne2k, which one failed allocation makes deaf for good, whatever memory there is",
    "pcnet": "pcnet, on which a crunch does not end whatever is flagged",
}
KERNELS: Final = ("6.1", "6.1-cloud", "6.12")
"""Kernels that ``make machines`` brings; the first is the default. A user may add others."""
EVENTS: Final = ("all", "summary")
"""What a history has: every datagram and every look at a pool, or how many, and what differs."""
MOST_IN_FULL: Final = 64
"""Nodes of which a history has all events where nobody says what it is to have."""
MACHINE_KEYS: Final = ("nic", "kernel")
"""Keys of ``memory`` that a scenario need not say."""


def _card(value: object) -> str:
    """Accept a card; two that QEMU has too are refused with the reason."""
    if isinstance(value, str) and value in _UNFIT_CARDS:
        kinds.reject(f"one of {', '.join(CARDS)}", got=_UNFIT_CARDS[value])
    name: str = kinds.choice(CARDS).func(value)  # type: ignore[call-arg]
    return name


def _kernel(value: object) -> str | Profile:
    """Accept a kernel's name, or what is in a profile file."""
    if isinstance(value, Profile):
        return value
    if isinstance(value, Mapping):
        try:
            return profile_of(value, _IN_SCENARIO)
        except BadInput as error:
            kinds.reject("a profile", got=str(error))
    check = kinds.version(f"a kernel such as {' or '.join(KERNELS)}, or a profile file")
    name: str = check.func(value)  # type: ignore[call-arg]
    return name


def _kernel_record(value: str | Profile) -> str | dict[str, Any]:
    return value if isinstance(value, str) else record_of(value)


class Section(BaseModel):
    """A mapping of known keys that nothing changes once it is read.

    Pydantic builds the validator of a section when it is first used: a command's help needs none.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Memory(Section):
    """A node's page pool: ``clean`` pages are used by tasks from the start.

    ``nic`` and ``kernel`` are a machine's card and the kernel that it boots, or the profiles of a
    card and a kernel, by which memory is modelled. A ``kernel`` from a profile file is the profile
    itself, so that a resolved scenario needs no file.
    """

    pages: Pages = 16384
    clean: Annotated[int, kinds.whole("pages", 0)] = 8192
    reserve: Annotated[int | Literal["auto"], kinds.whole_or_auto("pages", 1)] = 256
    service_time: Annotated[int, kinds.duration("1us", "1s"), DurationText] = 200_000
    on_exhaustion: Annotated[str, kinds.choice(("drop", "panic"))] = "drop"
    nic: Annotated[str, BeforeValidator(_card)] = CARDS[0]
    kernel: Annotated[
        str | InstanceOf[Profile], BeforeValidator(_kernel), PlainSerializer(_kernel_record)
    ] = KERNELS[0]

    @model_validator(mode="before")
    @classmethod
    def _with_the_card_of_the_profile(cls, told: Any) -> Any:
        """Take the card of a profile file where the scenario says none."""
        if isinstance(told, dict) and "nic" not in told and isinstance(told.get("kernel"), dict):
            with suppress(BadInput):  # which the key's own check tells
                return {**told, "nic": profile_of(told["kernel"], _IN_SCENARIO).card.name}
        return told

    @property
    def kernel_name(self) -> str:
        """The name of the kernel, or of the one that the profile is of."""
        return self.kernel if isinstance(self.kernel, str) else self.kernel.kernel.name

    @property
    def says_machine(self) -> bool:
        """Whether the scenario names a card or a kernel."""
        return not self.model_fields_set.isdisjoint(MACHINE_KEYS)

    @model_serializer(mode="wrap")
    def _as_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what the scenario does not say, so that scenarios from before stay equal."""
        written: dict[str, Any] = write(self)
        for key in MACHINE_KEYS:
            if key not in self.model_fields_set:
                del written[key]
        return written


class Heartbeat(Section):
    """Without a ``detector``, a node is suspected after ``misses`` intervals without a heartbeat.

    ``port`` is UDP.
    """

    interval: Annotated[int, kinds.duration("5ms", "60s"), DurationText] = 100_000_000
    misses: Annotated[int, kinds.whole("heartbeats", 1, 1000)] = 5
    port: Port = 7405

    @property
    def silence_ns(self) -> int:
        """``misses`` intervals."""
        return self.interval * self.misses


class Softnet(Section):
    """The input queue of the policy ``softnet``: its length, and the time that a packet costs."""

    limit: Annotated[int, kinds.whole("packets", 1, 1_000_000)] = SOFTNET_LIMIT
    cost: Annotated[int, kinds.duration("1us", "10ms"), DurationText] = SOFTNET_COST_NS


Delays = Annotated[
    int | dict[str, int],
    BeforeValidator(_one_or_by_node(kinds.duration_of("0s"))),
    PlainSerializer(_delay_text, return_type=str | dict[str, str]),
]
"""A duration for all nodes, or a mapping of nodes to durations."""


NO_QUORUM: Final = ("stop", "freeze", "ignore")
_IMPOSSIBLE: Final = {
    "demote": "the service has no promoted state",
    "suicide": "no node here fences itself",
}


def _possible(value: object) -> object:
    if isinstance(value, str) and (why := _IMPOSSIBLE.get(value)):
        kinds.reject(f"one of {', '.join(NO_QUORUM)} ({why})")
    return value


class Fencing(Section):
    """What happens to an ejected node; without ``confirm`` it is only assumed to be cut off.

    ``delay``: how long the fence of a node waits before it is carried out. ``no_quorum``: what a
    node without quorum does, as Pacemaker's ``no-quorum-policy`` says; None: see ``Scenario``.
    """

    reboot_delay: Annotated[int, kinds.duration("0s"), DurationText] = 2_000_000_000
    confirm: Annotated[bool, kinds.yes_or_no()] = True
    delay: Delays = 0
    no_quorum: Annotated[str, kinds.choice(NO_QUORUM), BeforeValidator(_possible)] | None = None

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave defaults out, so that scenarios written before there were these keys stay equal."""
        written: dict[str, Any] = write(self)
        for key in ("delay", "no_quorum"):
            if not getattr(self, key):
                del written[key]
        return written

    def delay_ns(self, node: str) -> int:
        """Return how long the fence of a node waits."""
        return self.delay if isinstance(self.delay, int) else self.delay.get(node, 0)

    def contradictions(self, facts: ClusterFacts) -> Iterator[Contradiction]:
        """Yield nodes with a delay that the cluster does not have, and a policy without effect."""
        named = {} if isinstance(self.delay, int) else self.delay
        for node in named:
            if node not in facts.node_names:
                yield "fencing.delay", f"nodes from n1 to {facts.node_names[-1]}", node
        policy = self.no_quorum
        if policy == "ignore" and facts.membership != "corosync":
            other = "stop or freeze: without a majority our own membership decides nothing"
            yield "fencing.no_quorum", f"{other} (membership: corosync can ignore that)", policy
        elif policy in ("stop", "freeze") and not facts.pair:
            other = "a block_io.pair, whose service stops or goes on without quorum"
            yield "fencing.no_quorum", other, policy


class Traffic(Section):
    """Packets of class ``other``, for a reader on every node that is a normal task."""

    rate: Annotated[int, kinds.whole("packets a second", 0, 1_000_000)] = 1000
    size: Annotated[int, kinds.size("16B", "1400B"), SizeText] = 512
    port: Port = 9000


class Phases(Section):
    """``control`` is measured before the fault; ``inject`` and ``recovery`` last at most this.

    ``after`` is measured once the cluster is whole again, or the recovery is over.
    """

    control: Annotated[int, kinds.duration("100ms"), DurationText] = 4_000_000_000
    inject: Annotated[int, kinds.duration("100ms"), DurationText] = 6_000_000_000
    recovery: Annotated[int, kinds.duration("0s"), DurationText] = 15_000_000_000
    after: Annotated[int, kinds.duration("0s"), DurationText] = 0
