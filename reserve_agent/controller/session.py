"""One switch, from its connection until it is known to hold what it should, and from then on.

The switch may hold the flows of a controller that was killed, and it forwards by those flows. So
they are never removed first: the same flows are written again with a cookie of a new epoch, which
changes nothing for a packet and keeps the counters. When the new flows are in force, the flows of
older epochs are removed. At last the switch is asked what it holds, and the answer is compared with
what was meant.

This is logic over values, without OpenFlow's library; ``Link`` sends the values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from reserve_agent.controller.requests import (
    Ask,
    Barrier,
    Held,
    Put,
    PutFlow,
    Remove,
    RemoveCookie,
    RemoveFlow,
    Request,
    Table,
)
from reserve_agent.controller.rules import cookie
from reserve_agent.controller.rules.cookie import Purpose
from reserve_agent.controller.rules.difference import Difference, difference
from reserve_agent.controller.rules.state import Flow, Group, HeldFlow, Meter, SwitchState, by_key

_MAX_TRIES = 3
_ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF
_EPOCHS = 1 << 16
_ALL: tuple[Table, ...] = ("meters", "groups", "flows")


class Link(Protocol):
    """A connection to one switch, which keeps the order of requests."""

    def send(self, requests: Collection[Request]) -> None:
        """Send these; never waits for an answer."""


class Session:
    """One connection of one switch, which should hold ``want``.

    ``ready`` is called once the switch is known to hold that; ``failed`` is called with the reason
    where it does not, after three attempts.
    """

    def __init__(
        self,
        link: Link,
        want: SwitchState,
        ready: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self.ready = False
        self._link = link
        self._want = want
        self._on_ready = ready
        self._on_failed = failed
        self._epoch: int | None = None
        self._ticket = 0
        self._waiting: dict[int, Callable[[Any], None]] = {}
        self._late: list[Callable[[], None]] = []
        self._tries = 0
        self.refused: list[str] = []

    def start(self) -> None:
        """Ask what is there, then write."""
        self._ask_for_all(self._write)

    def answer(self, ticket: int, content: Any = None) -> None:
        """The switch has answered a barrier or a question."""
        if (then := self._waiting.pop(ticket, None)) is not None:
            then(content)

    def refuse(self, reason: str) -> None:
        """The switch has answered a request with an error."""
        self.refused.append(reason)

    def ask(self, table: Table, then: Callable[[Any], None]) -> None:
        """Ask for a table; ``then`` gets the answer."""
        self._link.send([Ask(table, self._wait(then))])

    def put(self, flows: Collection[Flow], done: Callable[[], None]) -> None:
        """Have the switch hold these flows from now on; ``done`` is called when they are in force.

        Before the switch has said what it holds, nothing can be written: these flows wait for all
        others.
        """
        self._want = replace(self._want, flows={**self._want.flows, **by_key(flows)})
        if self._epoch is None:
            self._late.append(done)
            return
        epoch = self._epoch
        ticket = self._wait(lambda _: done())
        self._link.send([*(PutFlow(flow, epoch) for flow in flows), Barrier(ticket)])

    def put_once(self, flows: Collection[Flow]) -> None:
        """Make flows that end by themselves, and that need not be there."""
        if self._epoch is not None:
            epoch = self._epoch
            self._link.send([PutFlow(flow, epoch) for flow in flows])

    def change(self, want: SwitchState) -> None:
        """Have the switch hold this from now on."""
        changes = difference(self._want, want)
        self._want = want
        if self._epoch is not None and changes:
            self._link.send([*self._made(changes), *_removed(changes)])

    def _wait(self, then: Callable[[Any], None]) -> int:
        self._ticket += 1
        self._waiting[self._ticket] = then
        return self._ticket

    def _ask_for_all(self, then: Callable[[Held], None]) -> None:
        found: dict[str, Any] = {}

        def take(table: Table, content: Any) -> None:
            found[table] = content
            if len(found) == len(_ALL):
                then(Held(tuple(found["flows"]), found["groups"], found["meters"]))

        self._link.send([Ask(table, self._wait(partial(take, table))) for table in _ALL])

    def _write(self, found: Held) -> None:
        """Write everything anew, and adopt the flows of connections that were classified."""
        epochs = {epoch for held in found.flows if (epoch := _epoch_of(held)) is not None}
        self._epoch = (max(epochs) + 1) % _EPOCHS if epochs else 1
        held = _state_of(found, held_flows=())
        known = by_key(flow for held in found.flows if (flow := _known(held)) is not None)
        want = replace(self._want, flows={**known, **self._want.flows})
        changes = difference(held, want)
        late, self._late = self._late, []

        def written(_: object) -> None:
            for done in late:
                done()
            self._clear(found)

        self._link.send([*self._made(changes), Barrier(self._wait(written))])

    def _clear(self, found: Held) -> None:
        """Remove what is not ours, and what an older controller left; all that is wanted is new."""
        requests: list[Request] = []
        cookies = {
            (cookie.MAGIC << 56 | epoch << 32, cookie.MAGIC_MASK | cookie.EPOCH_MASK)
            if (epoch := _epoch_of(held)) is not None
            else (held.cookie, _ALL_BITS)
            for held in found.flows
        }
        requests += [RemoveCookie(value, mask) for value, mask in sorted(cookies)]
        requests += [Remove(one, Group) for one in found.groups if one not in self._want.groups]
        requests += [Remove(one, Meter) for one in found.meters if one not in self._want.meters]
        look_again = self._wait(lambda _: self._ask_for_all(partial(self._verify, self._want)))
        self._link.send([*requests, Barrier(look_again)])

    def _verify(self, wanted: SwitchState, found: Held) -> None:
        """Compare what the switch holds; write what is missing again, and compare again.

        ``wanted`` is what was wanted when the switch was asked. Where pressure has come or gone
        since then, a difference is no failure of the switch.
        """
        stale = [held for held in found.flows if _epoch_of(held) != self._epoch]
        current = [held for held in found.flows if _epoch_of(held) == self._epoch]
        flows = [flow for held in current if (flow := held.flow) and not _known(held)]
        changes = difference(_state_of(found, flows), self._want)
        if not changes and not stale:
            self.ready = True
            self._on_ready()
            return
        self._tries += self._want is wanted
        if self._tries >= _MAX_TRIES:
            self._on_failed(self._described(changes, stale))
            return
        requests = [*self._made(changes), *_removed(changes)]
        self._link.send([*requests, Barrier(self._wait(lambda _: self._clear(Held(tuple(stale)))))])

    def _described(self, changes: Difference, stale: Collection[HeldFlow]) -> str:
        parts = [f"{len(value)} {name}" for name, value in vars(changes).items() if value]
        if stale:
            parts.append(f"{len(stale)} stale flows")
        text = ", ".join(parts)
        return f"{text}; refused: {self.refused[-1]}" if self.refused else text

    def _made(self, changes: Difference) -> Iterable[Request]:
        epoch = self._epoch or 0  # it is known by the time anything is written
        yield from (Put(n, meter, new=True) for n, meter in changes.new_meters.items())
        yield from (Put(n, meter, new=False) for n, meter in changes.changed_meters.items())
        yield from (Put(n, group, new=True) for n, group in changes.new_groups.items())
        yield from (Put(n, group, new=False) for n, group in changes.changed_groups.items())
        for flow in changes.put:
            yield PutFlow(flow, epoch)


def _removed(changes: Difference) -> Iterable[Request]:
    yield from (RemoveFlow(key) for key in changes.gone)
    yield from (Remove(number, Group) for number in changes.gone_groups)
    yield from (Remove(number, Meter) for number in changes.gone_meters)


def _epoch_of(held: HeldFlow) -> int | None:
    decoded = cookie.decode(held.cookie)
    return None if decoded is None else decoded[1]


def _known(held: HeldFlow) -> Flow | None:
    flow = held.flow
    return flow if flow is not None and flow.cookie.purpose is Purpose.KNOWN else None


def _state_of(found: Held, held_flows: Iterable[Flow]) -> SwitchState:
    """What a switch holds, for a comparison; what is not ours equals nothing."""
    return SwitchState(
        flows=by_key(held_flows),
        groups=found.groups,  # type: ignore[arg-type]
        meters=found.meters,  # type: ignore[arg-type]
    )
