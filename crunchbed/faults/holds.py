"""Who holds what: faults that overlap on one thing, such as a daemon, a link or the block target.

A thing is as bad as the worst of the faults that hold it, and as before once the last of them has
let go of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import groupby
from typing import Any, Final, Generic, NamedTuple, TypeVar

from crunchbed.run.world import Impairment, KillsAgent, World
from reserve_agent.errors import CrunchbedError

TARGET: Final = "the block target"
_Thing = TypeVar("_Thing", bound=tuple[object, ...])
_Value = TypeVar("_Value")


class Held(Generic[_Thing, _Value]):
    """Things of one sort, each with its holders; every holder brings a value.

    Args:
        put: Makes things as their values say; None: as before. Harmless where they are so.
        worst: What the values of several holders of a thing come to.
        name: What a thing is called in the history.
    """

    def __init__(
        self,
        put: Callable[[Mapping[_Thing, _Value | None]], None],
        worst: Callable[[Sequence[_Value]], _Value],
        name: Callable[[_Thing], str] = str,
    ) -> None:
        self.name = name
        self._put = put
        self._worst = worst
        self._on: dict[_Thing, dict[object, _Value]] = {}

    def value(self, thing: _Thing) -> _Value | None:
        """Return what the holders of a thing come to; None: nobody holds it."""
        holders = self._on.get(thing)
        return self._worst(list(holders.values())) if holders else None

    def all(self) -> Mapping[_Thing, _Value]:
        """Return everything that is held, with what its holders come to."""
        return {thing: self._worst(list(on.values())) for thing, on in self._on.items()}

    def of(self, owner: object) -> list[_Thing]:
        """Return what one owner holds."""
        return [thing for thing, holders in self._on.items() if owner in holders]

    def shared(self, owner: object, thing: _Thing) -> bool:
        """Return whether somebody else than ``owner`` holds a thing."""
        return any(other is not owner for other in self._on.get(thing, ()))

    def hold(self, owner: object, wanted: Mapping[_Thing, _Value]) -> None:
        """Hold things, each with a value; where that fails, ``owner`` holds none of them."""
        for thing, value in wanted.items():
            self._on.setdefault(thing, {})[owner] = value
        try:
            self._put({thing: self.value(thing) for thing in wanted})
        except BaseException:
            self._forget(owner, wanted)
            with suppress(CrunchbedError):
                self._put({thing: self.value(thing) for thing in wanted})
            raise

    def release(self, owner: object) -> None:
        """Let go of everything that ``owner`` holds; harmless where that is nothing."""
        before = {thing: self.value(thing) for thing in self.of(owner)}
        self._forget(owner, before)
        now = {thing: self.value(thing) for thing in before}
        changed = {thing: value for thing, value in now.items() if value != before[thing]}
        if changed:
            self._put(changed)

    def _forget(self, owner: object, things: Iterable[_Thing]) -> None:
        for thing in things:
            self._on[thing].pop(owner)
            if not self._on[thing]:
                del self._on[thing]


class Daemon(NamedTuple):
    """A daemon of one boot of a node: the next boot has another one."""

    node: str
    boot: int
    name: str


Down = tuple[str, str]
"""Something without power or without a process: its sort (see ``_restore``) and its name."""
Link = tuple[str, str]
"""A host, and the network that the link leads to."""
Packets = tuple[str, str]
"""What happens to packets, such as ``loss``, and to which: ``of n2 to n1``."""


def lost_packets(impairments: Iterable[Impairment], hosts: Sequence[str]) -> list[Packets]:
    """Return the packets that losses hit, as they are held."""
    return [
        ("loss", f"of {source} to {one.target}")
        for one in impairments
        for source in ([one.source] if one.source else hosts)
        if source != one.target
    ]


class Holds:
    """What the faults of one run hold.

    Args:
        world: The cluster.
        boot: Powers a node on, unless the node is up or its reboot is due.
        fence: Sets what is wrong with the fence device.

    Attributes:
        daemons: Daemons that stand still.
        sizes: Resizes reserves.
        reserves: Sizes of reserves, pages of 4 KiB, by node.
        target: What is wrong with the block target: see ``Target``.
        down: What was killed or lost its power.
        links: Links that are down. Their backend counts the cuts itself, since power cuts too.
        packets: What happens to packets. The network adds it up.
        fences: What is wrong with the fence device, by node.
    """

    def __init__(
        self,
        world: World,
        boot: Callable[[str], None],
        fence: Callable[[Mapping[tuple[str, str], int | None]], None],
    ) -> None:
        self.daemons: Held[Daemon, bool] = Held(
            partial(_put_daemons, world), max, lambda one: f"daemon {one.name} of {one.node}"
        )
        self.sizes = Reserves(world)
        self.reserves: Held[tuple[str], int] = Held(
            self.sizes.put, min, lambda one: f"reserve of {one[0]}"
        )
        self.target: Held[tuple[str], int] = Held(
            _Target(world).put, max, lambda one: f"{TARGET} {one[0]}"
        )
        self.down: Held[Down, bool] = Held(partial(_restore, world, boot), max, " ".join)
        self.links: Held[Link, bool] = Held(_nothing, max, lambda one: f"link {one[0]} {one[1]}")
        self.packets: Held[Packets, bool] = Held(_nothing, max, " ".join)
        self.fences: Held[tuple[str, str], int] = Held(
            fence, max, lambda one: f"fence of {one[1]} {one[0]}"
        )

    @property
    def _all(self) -> tuple[Held[Any, Any], ...]:
        packets = self.links, self.packets, self.fences
        return self.daemons, self.reserves, self.target, self.down, *packets

    def shared(self, owner: object) -> list[str]:
        """Return the names of what ``owner`` holds together with others."""
        return [
            held.name(thing)
            for held in self._all
            for thing in held.of(owner)
            if held.shared(owner, thing)
        ]

    def release(self, owner: object) -> None:
        """Let go of everything that ``owner`` holds, whatever fails of it."""
        with ExitStack() as undo:
            for held in self._all:
                undo.callback(held.release, owner)


def _nothing(_things: Mapping[_Thing, object]) -> None:
    """Somebody else makes the things as they are to be."""


def _put_daemons(world: World, things: Mapping[Daemon, bool | None]) -> None:
    for (name, boot), group in groupby(things, key=lambda one: (one.node, one.boot)):
        node, daemons = world.nodes[name], list(group)
        if node.incarnation != boot:
            continue  # what stood still has ended
        if still := [one.name for one in daemons if things[one]]:
            node.pause(still)
        if awake := [one.name for one in daemons if not things[one]]:
            node.resume(awake)


class Reserves:
    """Resizes reserves, and knows the sizes from before the first resize, by node."""

    def __init__(self, world: World) -> None:
        self._nodes = world.nodes
        self.before: dict[str, int] = {}

    def put(self, things: Mapping[tuple[str], int | None]) -> None:
        """Resize the reserves of nodes."""
        for (name,), pages in things.items():
            if pages is not None:
                was = self._nodes[name].resize(pages)
                self.before.setdefault(name, was)
            elif name in self.before:
                self._nodes[name].resize(self.before.pop(name))


class _Target:
    """The block target, which may be ``down``, ``stalled``, or have a ``delay`` (ns a write)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._now: dict[str, int] = {}

    def put(self, things: Mapping[tuple[str], int | None]) -> None:
        disk = self._world.disk
        if disk is None:
            return
        before = dict(self._now)
        self._now |= {what: value or 0 for (what,), value in things.items()}
        down, delay, stalled = (self._now.get(what, 0) for what in ("down", "delay", "stalled"))
        was_down, was_stalled = before.get("down", 0), before.get("stalled", 0)
        if down:
            if ("down",) in things:
                disk.kill_target()
            return
        if was_down or delay != before.get("delay", 0):
            if not was_down:
                disk.kill_target()
            disk.start_target(delay)
            was_stalled = 0  # the new one is not
        if stalled and not was_stalled:
            disk.pause_target()
        elif was_stalled and not stalled:
            disk.resume_target()


def _restore(world: World, boot: Callable[[str], None], things: Mapping[Down, bool | None]) -> None:
    for (sort, name), value in things.items():
        if value:
            continue  # whoever holds it has taken it down
        if sort == "power":
            boot(name)
        elif sort == "agent" and isinstance(node := world.nodes[name], KillsAgent):
            node.restart_agent()
        elif sort == "switch" and world.switches is not None:
            world.switches.turn_on(name)
        elif sort == "controller" and world.controller is not None:
            world.controller.restart()
