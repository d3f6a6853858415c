"""One switch, from its connection until it is known to hold what it should, and from then on.

The switch may hold the flows of a controller that was killed, and it forwards by them. So they are
never removed first: the same flows are written again with a cookie of a new epoch, which changes
nothing about a packet and keeps the counters; when they are in force, what is left of older epochs
goes. At last the switch is asked what it holds, and that is compared with what was meant.

This is logic over values, without OpenFlow's library; ``Link`` is what sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from reserve_agent.controller.requests import (
    Ask,
    Barrier,
    HeldFlow,
    PutFlow,
    PutGroup,
    PutMeter,
    RemoveCookie,
    RemoveFlow,
    RemoveGroup,
    RemoveMeter,
    Request,
    Stock,
    What,
)
from reserve_agent.controller.rules import cookie
from reserve_agent.controller.rules.cookie import Purpose
from reserve_agent.controller.rules.difference import Difference, difference
from reserve_agent.controller.rules.state import Flow, SwitchState, by_key

_MAX_TRIES = 3
_ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF
_EPOCHS = 1 << 16
_STOCK: tuple[What, ...] = ("meters", "groups", "flows")


class Link(Protocol):
    """Sends to one switch, in order."""

    def send(self, requests: Collection[Request]) -> None:
        """Send these; never waits for an answer."""


class Session:
    """One connection of one switch.

    Args:
        link: Sends to the switch.
        want: What it should hold.
        ready: Called once it is known to hold that.
        failed: Called with the reason where it does not, after three attempts.
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
        self._take_stock(self._write)

    def answer(self, ticket: int, content: Any = None) -> None:
        """The switch has answered a barrier or a question."""
        if (then := self._waiting.pop(ticket, None)) is not None:
            then(content)

    def refuse(self, reason: str) -> None:
        """The switch has answered a request with an error."""
        self.refused.append(reason)

    def ask(self, what: What, then: Callable[[Any], None]) -> None:
        """Ask a question of one's own."""
        self._link.send([Ask(what, self._wait(then))])

    def put(self, flows: Collection[Flow], done: Callable[[], None]) -> None:
        """Have the switch hold these flows from now on; ``done`` is called when they are in force.

        Before the switch has said what it holds, nothing can be written: they come with the rest.
        """
        self._want = replace(self._want, flows={**self._want.flows, **by_key(flows)})
        if self._epoch is None:
            self._late.append(done)
            return
        epoch = self._epoch
        ticket = self._wait(lambda _: done())
        self._link.send([*(PutFlow(flow, epoch) for flow in flows), Barrier(ticket)])

    def put_once(self, flows: Collection[Flow]) -> None:
        """Make flows that end by themselves, and that nobody misses."""
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

    def _take_stock(self, then: Callable[[Stock], None]) -> None:
        found: dict[str, Any] = {}

        def take(what: What, content: Any) -> None:
            found[what] = content
            if len(found) == len(_STOCK):
                then(Stock(tuple(found["flows"]), found["groups"], found["meters"]))

        self._link.send([Ask(what, self._wait(partial(take, what))) for what in _STOCK])

    def _write(self, stock: Stock) -> None:
        """Everything anew; flows of connections that were looked at are adopted."""
        epochs = {epoch for held in stock.flows if (epoch := _epoch_of(held)) is not None}
        self._epoch = (max(epochs) + 1) % _EPOCHS if epochs else 1
        held = _state_of(stock, held_flows=())
        known = by_key(flow for held in stock.flows if (flow := _known(held)) is not None)
        want = replace(self._want, flows={**known, **self._want.flows})
        changes = difference(held, want)
        late, self._late = self._late, []

        def written(_: object) -> None:
            for done in late:
                done()
            self._clear(stock)

        self._link.send([*self._made(changes), Barrier(self._wait(written))])

    def _clear(self, stock: Stock) -> None:
        """Remove what is none of ours, or an older controller's; nothing wanted is left in that."""
        requests: list[Request] = []
        cookies = {
            (cookie.MAGIC << 56 | epoch << 32, cookie.MAGIC_MASK | cookie.EPOCH_MASK)
            if (epoch := _epoch_of(held)) is not None
            else (held.cookie, _ALL_BITS)
            for held in stock.flows
        }
        requests += [RemoveCookie(value, mask) for value, mask in sorted(cookies)]
        requests += [RemoveGroup(one) for one in stock.groups if one not in self._want.groups]
        requests += [RemoveMeter(one) for one in stock.meters if one not in self._want.meters]
        requests.append(Barrier(self._wait(lambda _: self._look_again())))
        self._link.send(requests)

    def _look_again(self) -> None:
        self._take_stock(partial(self._verify, self._want))

    def _verify(self, wanted: SwitchState, stock: Stock) -> None:
        """Compare; what is missing is written again, and compared again.

        ``wanted`` is what was wanted when the switch was asked: where that has changed since, for
        pressure that has come or gone, a difference is no failure of the switch's.
        """
        stale = [held for held in stock.flows if _epoch_of(held) != self._epoch]
        current = [held for held in stock.flows if _epoch_of(held) == self._epoch]
        flows = [flow for held in current if (flow := held.flow) and not _known(held)]
        changes = difference(_state_of(stock, flows), self._want)
        if not changes and not stale:
            self.ready = True
            self._on_ready()
            return
        self._tries += self._want is wanted
        if self._tries >= _MAX_TRIES:
            self._on_failed(self._described(changes, stale))
            return
        requests = [*self._made(changes), *_removed(changes)]
        self._link.send([*requests, Barrier(self._wait(lambda _: self._clear(stock_of(stale))))])

    def _described(self, changes: Difference, stale: Collection[HeldFlow]) -> str:
        parts = [f"{len(value)} {name}" for name, value in vars(changes).items() if value]
        if stale:
            parts.append(f"{len(stale)} stale flows")
        text = ", ".join(parts)
        return f"{text}; refused: {self.refused[-1]}" if self.refused else text

    def _made(self, changes: Difference) -> Iterable[Request]:
        epoch = self._epoch or 0  # it is known by the time anything is written
        yield from (PutMeter(n, meter, new=True) for n, meter in changes.new_meters.items())
        yield from (PutMeter(n, meter, new=False) for n, meter in changes.changed_meters.items())
        yield from (PutGroup(n, group, new=True) for n, group in changes.new_groups.items())
        yield from (PutGroup(n, group, new=False) for n, group in changes.changed_groups.items())
        for flow in changes.put:
            yield PutFlow(flow, epoch)


def stock_of(flows: Iterable[HeldFlow]) -> Stock:
    """A stock of flows alone."""
    return Stock(flows=tuple(flows))


def _removed(changes: Difference) -> Iterable[Request]:
    yield from (RemoveFlow(key) for key in changes.gone)
    yield from (RemoveGroup(number) for number in changes.gone_groups)
    yield from (RemoveMeter(number) for number in changes.gone_meters)


def _epoch_of(held: HeldFlow) -> int | None:
    decoded = cookie.decode(held.cookie)
    return None if decoded is None else decoded[1]


def _known(held: HeldFlow) -> Flow | None:
    flow = held.flow
    return flow if flow is not None and flow.cookie.purpose is Purpose.KNOWN else None


def _state_of(stock: Stock, held_flows: Iterable[Flow]) -> SwitchState:
    """What is held, for a comparison; what is none of ours equals nothing."""
    return SwitchState(
        flows=by_key(held_flows),
        groups=stock.groups,  # type: ignore[arg-type]
        meters=stock.meters,  # type: ignore[arg-type]
    )
