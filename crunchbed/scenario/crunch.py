"""``crunch:`` of a scenario: how a node comes to have no free page for normal tasks.

Durations are nanoseconds, sizes bytes, memory pages 4 KiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText, Pages, Port, SizeText, Target
from crunchbed.scenario.section import Section
from crunchbed.scenario.units import format_duration
from reserve_agent.contract.packets import MAX_WINDOWS

FORMS: Final = ("swap", "buffered")
"""What the dirty pages of a machine's task are: its own, or written into the page cache."""


_LATER_KEYS: Final = ("form", "share", "apart")
"""Keys that scenarios from before them do not have."""
_Share = Annotated[float, kinds.above_zero(1)] | None
_Apart = Annotated[int, kinds.duration("0s"), DurationText]


class _OfMany(Section):
    """A crunch that several nodes can have.

    ``share`` says which share of the nodes has it, one at least: ``target`` and those after it,
    or all of them drawn; None: the target alone. Each begins ``apart`` after the one before.
    """

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave defaults of later keys out, so that scenarios from before them stay equal."""
        written: dict[str, Any] = write(self)
        for key in _LATER_KEYS:
            if key in written and getattr(self, key) == type(self).model_fields[key].default:
                del written[key]
        return written


class WritebackCrunch(_OfMany):
    """Normal tasks dirty ``pages`` at ``rate``; acknowledged writes free them.

    ``form`` says what the pages of a machine are.
    """

    kind: Literal["writeback"]
    target: Target = "n1"
    pages: Pages = 12000
    rate: Annotated[int, kinds.whole("pages a second", 1)] = 100_000
    form: Annotated[str, kinds.choice(FORMS)] = FORMS[0]
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 200_000_000
    share: _Share = None
    apart: _Apart = 0


class TimedCrunch(_OfMany):
    """``count`` windows of ``length`` in which a normal task finds no page, one in each ``every``.

    With ``longest`` their lengths are drawn from ``length`` to that, as many in each decade.
    ``depth`` says how much of the reserve is gone too: 0 none of it, 0.5 all that a plain
    GFP_ATOMIC allocation may take, 1 all. Windows take several depths in turn.
    """

    kind: Literal["timed"]
    target: Target = "n1"
    count: Annotated[int, kinds.whole("windows", 1, MAX_WINDOWS)] = 100
    length: Annotated[int, kinds.duration("1us"), DurationText] = 50_000
    longest: Annotated[int, kinds.duration("1us"), DurationText] | None = None
    every: Annotated[int, kinds.duration("1us"), DurationText] = 10_000_000
    depth: Annotated[float | tuple[float, ...], kinds.fractions(0, 1)] = 0.5
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 0
    share: _Share = None
    apart: _Apart = 0

    @property
    def depths(self) -> tuple[float, ...]:
        """The shares of the reserve that are gone, in the order in which windows take them."""
        return self.depth if isinstance(self.depth, tuple) else (self.depth,)


class FloodCrunch(Section):
    """``rate`` packets a second for a reader that does not read, until ``duration`` is over.

    With ``memalloc`` the reader's socket is a memalloc socket although nobody throttles it.
    """

    kind: Literal["flood"]
    target: Target = "n1"
    rate: Annotated[int, kinds.whole("packets a second", 1, 100_000)] = 6000
    duration: Annotated[int, kinds.duration("10ms"), DurationText] = 3_000_000_000
    size: Annotated[int, kinds.size("16B", "1400B"), SizeText] = 64
    port: Port = 9001
    memalloc: Annotated[bool, kinds.yes_or_no()] = False
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 200_000_000


AnyCrunch = WritebackCrunch | TimedCrunch | FloodCrunch
Crunch = Annotated[AnyCrunch, Field(discriminator="kind")]


def crunched(crunch: AnyCrunch, nodes: int) -> int:
    """Return how many of ``nodes`` that can have the crunch have it."""
    if isinstance(crunch, FloodCrunch) or crunch.share is None:
        return 1
    return max(1, int(crunch.share * nodes + 0.5))


def spread_ns(crunch: AnyCrunch, nodes: int) -> int:
    """Return the time from the begin of the first node's crunch to that of the last one's."""
    return 0 if isinstance(crunch, FloodCrunch) else (crunched(crunch, nodes) - 1) * crunch.apart


def contradictions(crunch: AnyCrunch | None, facts: ClusterFacts) -> Iterator[Contradiction]:
    """Find a target that there is not, and times that the inject phase has no room for."""
    if crunch is None:
        return
    names, inject_ns = facts.node_names, facts.inject_ns
    if crunch.target not in (*names, "random"):
        yield "crunch.target", f"n1 to {names[-1]}, or random", crunch.target
    inject = format_duration(inject_ns)
    hit = len(facts.writers if crunch.kind == "writeback" else names)
    if spread := spread_ns(crunch, hit):
        inject_ns -= spread
        if inject_ns <= 0:
            got = f"{crunched(crunch, hit)} nodes that need {format_duration(spread)}"
            yield "crunch.apart", f"(nodes - 1) x apart within phases.inject ({inject})", got
            return
    if crunch.kind == "timed":
        yield from _windows(crunch, inject_ns, spread)
    elif crunch.kind == "flood" and crunch.jitter + crunch.duration >= inject_ns:
        got = format_duration(crunch.jitter + crunch.duration)
        yield "crunch.duration", f"jitter + duration within phases.inject ({inject})", got
    elif crunch.jitter >= inject_ns:
        less = f" less {format_duration(spread)}" if spread else ""
        expected = f"less than phases.inject ({inject}){less}"
        yield "crunch.jitter", expected, format_duration(crunch.jitter)


def _windows(crunch: TimedCrunch, inject_ns: int, spread_ns: int) -> Iterator[Contradiction]:
    if crunch.length > crunch.every:
        every = format_duration(crunch.every)
        yield "crunch.length", f"at most crunch.every ({every})", format_duration(crunch.length)
    longest = crunch.longest
    if longest is not None and not crunch.length <= longest <= crunch.every:
        bounds = f"{format_duration(crunch.length)} to {format_duration(crunch.every)}"
        yield "crunch.longest", f"from length to every ({bounds})", format_duration(longest)
    # Each window lies somewhere within its own period.
    needed = crunch.jitter + crunch.count * crunch.every
    if needed > inject_ns:
        inject = format_duration(inject_ns + spread_ns)
        less = f" less the {format_duration(spread_ns)} to the last node" if spread_ns else ""
        yield (
            "crunch.count",
            f"jitter + count x every within phases.inject ({inject}){less}",
            f"{crunch.count} windows that need {format_duration(needed)}",
        )
