"""All switches of a run: what each should hold, which are ready, what is shed.

Nothing here knows the framework. Two kinds of threads call: the framework's, with what switches
say, and the process's own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import RLock
from typing import Any

from reserve_agent.contract.events import switches
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.pending_change import PendingChange
from reserve_agent.controller.refusals import Refusals
from reserve_agent.controller.requests import Reply, Table
from reserve_agent.controller.rules.classify import known_flows
from reserve_agent.controller.rules.desired import desired_state, pressure_change
from reserve_agent.controller.rules.first_bytes import Connection, class_of, tcp_payload
from reserve_agent.controller.rules.paths import Port, flood_tree
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import Flow
from reserve_agent.controller.session import Link, Session
from reserve_agent.controller.wiring import Network, SwitchLink

Record = Callable[[Event], None]
"""Adds an event to the history; may be called from any thread."""
_log = logging.getLogger(__name__)
_LOOKED_AT = 10_000
_ON_ITS_WAY_SECONDS = 2.0


class Switches:
    """The switches of one run.

    ``ready_before`` says whether an earlier controller of this run was ready already.
    """

    def __init__(
        self,
        network: Network,
        classes: tuple[PortRule, ...],
        shed: Shed,
        record: Record,
        *,
        ready_before: bool = False,
    ) -> None:
        self.network = network
        self.shed_settings = shed
        self.pressed: set[str] = set()
        self.malformed = 0
        self.lost = 0
        self.sessions: dict[int, Session] = {}
        self._gone: set[int] = set()
        self._changes: dict[str, PendingChange] = {}
        self._record = record
        self._refusals = Refusals(switches.OpenFlowMalformed, record)
        self._names = {switch.dpid: switch.name for switch in network.switches}
        self._down: set[Port] = set()
        self._tree: frozenset[SwitchLink] = flood_tree(network)
        self._classes = classes
        self._want = dict(desired_state(network, classes, shed, self.pressed, self._tree))
        self._looked: dict[Connection, tuple[PacketClass, float]] = {}
        self._was_ready = False
        self._ready_before = ready_before
        self._lock = RLock()

    @property
    def ready(self) -> bool:
        """Whether every switch is known to hold all that it should."""
        with self._lock:
            found = [self.sessions.get(dpid) for dpid in self._names]
            return all(session is not None and session.ready for session in found)

    def connected(self, dpid: int, link: Link, down: set[int]) -> Session | None:
        """A switch has connected and said who it is; ``down`` are its ports that are down.

        Returns its session; None for a switch that is not of this run.
        """
        with self._lock:
            if dpid not in self._names:
                self._record(switches.ControllerStranger(dpid=dpid))
                return None
            name = self._names[dpid]
            self._down = {port for port in self._down if port[0] != name}
            self._down |= {(name, number) for number in down}
            self._follow_ports()
            session = Session(
                link, self._want[dpid], self._switch_is_ready, partial(self._differs, name)
            )
            self.sessions[dpid] = session
            self._gone.discard(dpid)
            for change in self._changes.values():
                if change.waits_for(dpid):  # the changed flows come with all others
                    session.put([], partial(change.arrived, dpid))
            session.start()
            return session

    def _differs(self, name: str, reason: str) -> None:
        """A switch does not hold what it should, after several attempts."""
        _log.error("switch %s differs from what was meant: %s", name, reason)
        self._record(switches.ControllerDiffers(switch=name, reason=reason))

    def _switch_is_ready(self) -> None:
        if self._was_ready or not self.ready:
            return
        self._was_ready = True
        kind = switches.ControllerBack if self._ready_before else switches.ControllerReady
        self._ready_before = True
        flows = sum(len(state.flows) for state in self._want.values())
        self._record(kind(switches=len(self._names), flows=flows))

    def disconnected(self, dpid: int, session: Session) -> None:
        """The connection of a switch is gone; the switch forwards all the same."""
        with self._lock:
            if self.sessions.get(dpid) is not session:
                return  # it is back by another connection already
            del self.sessions[dpid]
            self._was_ready = False
            self.lost += 1
            self._gone.add(dpid)
            for change in self._changes.values():
                change.lost(dpid)
            self._record(switches.ControllerLost(switch=self._names[dpid]))

    def answer(self, session: Session, ticket: int, content: Any = None) -> None:
        """A switch has answered."""
        with self._lock:
            session.answer(ticket, content)

    def refuse(self, dpid: int, session: Session, reason: str) -> None:
        """A switch has refused a request."""
        with self._lock:
            session.refuse(reason)
            self._record(switches.OpenFlowRefused(switch=self._names[dpid], reason=reason))

    def port(self, dpid: int, number: int, *, up: bool) -> None:
        """A port went up or down: floods may need a new tree; groups react without us."""
        with self._lock:
            port = (self._names[dpid], number)
            (self._down.discard if up else self._down.add)(port)
            self._follow_ports()

    def _follow_ports(self) -> None:
        tree = flood_tree(self.network, self._down, self._tree)
        if tree == self._tree:
            return
        self._tree = tree
        self._record(
            switches.TreeChanged(links=[[link.a, link.b] for link in sorted(tree, key=str)])
        )
        want = desired_state(self.network, self._classes, self.shed_settings, self.pressed, tree)
        for dpid, state in want.items():
            if dpid in self.sessions:
                self.sessions[dpid].change(state)
        self._want = dict(want)

    def shed(self, node: str, *, on: bool, done: Callable[[int], None]) -> bool:
        """Begin or end shedding what goes to a node; return whether anything changes.

        If so, ``done`` is called with the time (nanoseconds of CLOCK_MONOTONIC) when the change is
        in force on every connected switch that has the node; from a thread of the framework.
        """
        with self._lock:
            if on == (node in self.pressed):
                return False
            (self.pressed.add if on else self.pressed.discard)(node)
            changed = pressure_change(self.network, self.shed_settings, node, under_pressure=on)
            if changed:
                there = changed.keys() - self._gone
                change = PendingChange(there or changed, lambda: done(time.monotonic_ns()))
                self._changes[node] = change
                for dpid, flows in changed.items():
                    self._put(dpid, flows, partial(change.arrived, dpid))
            return bool(changed)

    def _put(self, dpid: int, flows: list[Flow], done: Callable[[], None]) -> None:
        state = self._want[dpid]
        self._want[dpid] = replace(
            state, flows={**state.flows, **{flow.key: flow for flow in flows}}
        )
        if dpid in self.sessions:
            self.sessions[dpid].put(flows, done)

    def ask_all(self, tables: Sequence[Table]) -> dict[str, tuple[Reply, ...]]:
        """Ask all switches for the same tables; the replies, by switch, arrive later."""
        with self._lock:
            asked = {}
            for dpid, session in self.sessions.items():
                replies = tuple(Reply() for _ in tables)
                asked[self._names[dpid]] = replies
                for table, reply in zip(tables, replies, strict=True):
                    session.ask(table, reply.arrive)
            return asked

    def copied(self, frame: bytes) -> None:
        """Classify a connection by the payload of a packet, where no port rule does; once."""
        found = tcp_payload(frame)
        if found is None or not found[1]:
            return
        connection, payload = found[0].either_way(), found[1]
        with self._lock:
            seen = self._looked.get(connection)
            now = time.monotonic()
            if seen is not None and now < seen[1]:
                return  # a packet that was copied before the flow was in force
            cls = class_of(payload)
            if seen is None or cls is not PacketClass.OTHER:
                self._note_class(connection, cls)
            else:
                cls = seen[0]  # the flow ended in a silence; these are not the first bytes
            if len(self._looked) >= _LOOKED_AT:
                self._looked.clear()
            self._looked[connection] = (cls, now + _ON_ITS_WAY_SECONDS)
            for session in self.sessions.values():
                session.put_once(list(known_flows(connection, cls)))

    def _note_class(self, connection: Connection, cls: PacketClass) -> None:
        self._record(
            switches.ConnectionClassified(
                source=f"{connection.source}:{connection.source_port}",
                destination=f"{connection.destination}:{connection.destination_port}",
                cls=cls.label,
            )
        )

    def was_malformed(self, reason: str) -> bool:
        """Count a message that is no OpenFlow; returns whether it is worth a line in a log."""
        with self._lock:
            self.malformed += 1
            self._refusals.count(reason)
            return self._refusals.report(time.monotonic_ns())

    def tick(self) -> None:
        """Record counts of malformed messages that are due; to be called several times a second."""
        with self._lock:
            self._refusals.report(time.monotonic_ns())

    def close(self) -> None:
        """Record what was malformed since the last report."""
        with self._lock:
            self._refusals.close()

    def status(self) -> dict[str, Any]:
        """What the run waits for and shows."""
        with self._lock:
            held = {self._names[dpid]: one.ready for dpid, one in self.sessions.items()}
            return {
                "ready": self.ready,
                "switches": {name: held.get(name, False) for name in self._names.values()},
                "lost": self.lost,
                "malformed": self.malformed,
                "shed": {"mode": self.shed_settings.mode, "nodes": sorted(self.pressed)},
            }
