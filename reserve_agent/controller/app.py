"""The application: a shim between the framework's events and ``Switches``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from reserve_agent.controller import framework
from reserve_agent.controller.codec import Decoder, Encoder
from reserve_agent.controller.requests import Ask, Barrier, Request
from reserve_agent.controller.session import Session
from reserve_agent.controller.switches import Switches

_ofp_event = framework.part("controller.ofp_event")
_handler = framework.part("controller.handler")
_of13 = framework.part("ofproto.ofproto_v1_3")
_MAIN, _DEAD = _handler.MAIN_DISPATCHER, _handler.DEAD_DISPATCHER
_decoder = Decoder(_of13)
_READERS: Mapping[type, Callable[[list[Any]], Any]] = {
    _ofp_event.EventOFPFlowStatsReply: _decoder.flows,
    _ofp_event.EventOFPGroupDescStatsReply: _decoder.groups,
    _ofp_event.EventOFPMeterConfigStatsReply: _decoder.meters,
    _ofp_event.EventOFPMeterStatsReply: _decoder.dropped,
}
"""How the rows of each answer are read."""
_log = logging.getLogger(__name__)
_Hear = Callable[["SwitchApp", Any], None]


def _on(kinds: type | list[type], states: Any) -> Callable[[_Hear], _Hear]:
    """Have a method handle such events, in these states of a connection.

    Where the method fails, the connection of the event is closed. OS-Ken would otherwise take the
    failure for the end of the application, and would handle no event of any switch any more.
    """

    def decorate(hear: _Hear) -> _Hear:
        @functools.wraps(hear)
        def guarded(app: SwitchApp, event: Any) -> None:
            try:
                hear(app, event)
            except Exception as error:
                app.cannot_take(event, error)

        heard: _Hear = _handler.set_ev_cls(kinds, states)(guarded)
        return heard

    return decorate


class _Connection:
    """One connection: a ``Link`` that numbers its questions, to find the question of an answer."""

    def __init__(self, datapath: Any) -> None:
        self.datapath = datapath
        self.session: Session | None = None
        self._encoder = Encoder(datapath)
        self._asked: dict[int, int] = {}
        self._parts: dict[int, list[Any]] = {}

    def send(self, requests: Collection[Request]) -> None:
        """Send all requests in one piece: a switch of 32 nodes has some 400 flows."""
        pieces = []
        for request in requests:
            message = self._encoder.message(request)
            xid = self.datapath.set_xid(message)
            if isinstance(request, Ask | Barrier):
                self._asked[xid] = request.ticket
            message.serialize()
            pieces.append(bytes(message.buf))
        self.datapath.send(b"".join(pieces))

    def ticket(self, xid: int) -> int | None:
        """The ticket of the question with this number; None for a second answer to it."""
        return self._asked.pop(xid, None)

    def collected(self, message: Any) -> list[Any] | None:
        """All rows of an answer in several messages; None until the last message is there."""
        rows = self._parts.setdefault(message.xid, [])
        rows += message.body
        if message.flags & _of13.OFPMPF_REPLY_MORE:
            return None
        return self._parts.pop(message.xid)


class SwitchApp(framework.App):  # type: ignore[misc]
    """The application that the framework loads; it hands all events to ``switches``."""

    OFP_VERSIONS = (_of13.OFP_VERSION,)

    def __init__(self, *args: Any, switches: Switches, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._switches = switches
        self._connections: dict[Any, _Connection] = {}

    @_on(_ofp_event.EventOFPStateChange, [_MAIN, _DEAD])
    def _state_changed(self, event: Any) -> None:
        datapath = event.datapath
        if event.state == _MAIN:
            switch = self._connections[datapath] = _Connection(datapath)
            down = {port.port_no for port in datapath.ports.values() if _is_down(port)}
            switch.session = self._switches.connected(datapath.id, switch, down)
            return
        gone = self._connections.pop(datapath, None)
        if gone is not None and gone.session is not None:
            self._switches.disconnected(datapath.id, gone.session)

    @_on(_ofp_event.EventOFPPortStatus, _MAIN)
    def _port_changed(self, event: Any) -> None:
        message = event.msg
        if self._session(message) is not None:
            gone = message.reason == _of13.OFPPR_DELETE
            up = not gone and not _is_down(message.desc)
            self._switches.port(message.datapath.id, message.desc.port_no, up=up)

    @_on(_ofp_event.EventOFPBarrierReply, _MAIN)
    def _barrier_passed(self, event: Any) -> None:
        self._answer(event.msg, None)

    @_on(list(_READERS), _MAIN)
    def _table_told(self, event: Any) -> None:
        switch = self._connections.get(event.msg.datapath)
        if switch is not None and (rows := switch.collected(event.msg)) is not None:
            self._answer(event.msg, _READERS[type(event)](rows))

    @_on(_ofp_event.EventOFPPacketIn, _MAIN)
    def _copied(self, event: Any) -> None:
        if self._session(event.msg) is not None:
            self._switches.copied(event.msg.data)

    @_on(_ofp_event.EventOFPErrorMsg, _MAIN)
    def _refused(self, event: Any) -> None:
        message = event.msg
        if (session := self._session(message)) is not None:
            reason = f"type {message.type} code {message.code}: {bytes(message.data[:64]).hex()}"
            self._switches.refuse(message.datapath.id, session, reason)

    def cannot_take(self, event: Any, error: Exception) -> None:
        """Refuse a message that makes no sense, such as an answer to a question nobody asked."""
        message = getattr(event, "msg", None)
        datapath = event.datapath if message is None else message.datapath
        what = "a change of state" if message is None else f"type {message.msg_type}"
        if self._switches.was_malformed(f"{datapath.address[0]}: {what}: {error!r}"):
            _log.warning("%s: %s cannot be taken", datapath.address, what, exc_info=error)
        datapath.close()

    def _session(self, message: Any) -> Session | None:
        switch = self._connections.get(message.datapath)
        return None if switch is None else switch.session

    def _answer(self, message: Any, content: Any) -> None:
        switch = self._connections.get(message.datapath)
        if switch is None or switch.session is None:
            return
        if (ticket := switch.ticket(message.xid)) is not None:
            self._switches.answer(switch.session, ticket, content)


def _is_down(port: Any) -> bool:
    return bool(port.config & _of13.OFPPC_PORT_DOWN or port.state & _of13.OFPPS_LINK_DOWN)
