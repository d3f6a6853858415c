"""A switch that takes a session's requests and answers, and may forget or keep things."""

from __future__ import annotations

from collections.abc import Collection

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
)
from reserve_agent.controller.rules.state import FlowKey, Group, HeldFlow, Meter
from reserve_agent.controller.session import Session


class FakeSwitch:
    """A ``Link``; what it has to answer waits for ``run``.

    Attributes:
        refused: Keys of flows that it does not take.
        holes: How often, after a request, a flow of the last controller's was not there.
    """

    def __init__(self) -> None:
        self.flows: dict[FlowKey, HeldFlow] = {}
        self.groups: dict[int, Group | None] = {}
        self.meters: dict[int, Meter | None] = {}
        self.refused: set[FlowKey] = set()
        self.always: set[FlowKey] = set()
        self.holes = 0
        self.requests: list[Request] = []
        self._answers: list[tuple[int, object]] = []

    def send(self, requests: Collection[Request]) -> None:
        """Carry them out in order."""
        for request in requests:
            self.requests.append(request)
            self._carry_out(request)
            self.holes += any(key not in self.flows for key in self.always)

    def _carry_out(self, request: Request) -> None:
        match request:
            case PutFlow() if request.flow.key not in self.refused:
                key = request.flow.key
                before = self.flows.get(key)
                cookie = request.flow.cookie.encode(request.epoch)
                packets = 0 if before is None else before.packets
                self.flows[key] = HeldFlow(request.flow, cookie, packets, 0)
            case RemoveFlow():
                self.flows.pop(request.key, None)
            case RemoveCookie():
                for key, held in list(self.flows.items()):
                    if held.cookie & request.mask == request.value:
                        del self.flows[key]
            case Put(number, Group() as group):
                assert request.new == (number not in self.groups)
                self.groups[number] = group
            case Put(number, Meter() as meter):
                assert request.new == (number not in self.meters)
                self.meters[number] = meter
            case Remove():
                held = self.groups if request.kind is Group else self.meters
                held.pop(request.number)
            case Barrier():
                self._answers.append((request.ticket, None))
            case Ask():
                self._answers.append((request.ticket, self._told(request)))

    def _told(self, request: Ask) -> object:
        held = Held(tuple(self.flows.values()), dict(self.groups), dict(self.meters))
        return getattr(held, request.table)

    def run(self, session: Session, steps: int = 100) -> None:
        """Give up to so many answers."""
        for _ in range(steps):
            if not self._answers:
                return
            session.answer(*self._answers.pop(0))

    def forget(self) -> None:
        """Give no answer that is still to come: the connection is gone."""
        self._answers.clear()
