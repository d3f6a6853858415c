"""Translates between the values of ``rules`` and OpenFlow 1.3, as Ryu and OS-Ken both have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reserve_agent.controller import requests
from reserve_agent.controller.rules import cookie, state

_CLASS_MASK = 0xFF


class Encoder:
    """Makes messages for one switch, the library's ``datapath``."""

    def __init__(self, datapath: Any) -> None:
        self._to = datapath
        self._of = datapath.ofproto
        self._parser = datapath.ofproto_parser

    def message(self, request: requests.Request) -> Any:
        """The message for a request."""
        match request:
            case requests.PutFlow():
                return self._put_flow(request.flow, request.epoch)
            case requests.RemoveFlow():
                return self._remove_flow(request.key)
            case requests.RemoveCookie():
                return self._remove_cookie(request)
            case requests.Put(number, state.Group() as group):
                return self._group(number, group, new=request.new)
            case requests.Put(number, state.Meter() as meter):
                return self._meter(number, meter, new=request.new)
            case requests.Remove():
                return self._remove(request)
            case requests.Barrier():
                return self._parser.OFPBarrierRequest(self._to)
            case requests.Ask():
                return self._ask(request)

    def _ask(self, request: requests.Ask) -> Any:
        kinds = {
            "flows": self._parser.OFPFlowStatsRequest,
            "groups": self._parser.OFPGroupDescStatsRequest,
            "meters": self._parser.OFPMeterConfigStatsRequest,
            "dropped": self._parser.OFPMeterStatsRequest,
        }
        return kinds[request.table](self._to)

    def _put_flow(self, flow: state.Flow, epoch: int) -> Any:
        # An entry with the same match and priority is replaced, and its counters are copied:
        # OpenFlow 1.3.5, section 6.4, without OFPFF_RESET_COUNTS.
        return self._parser.OFPFlowMod(
            datapath=self._to,
            cookie=flow.cookie.encode(epoch),
            table_id=flow.key.table,
            command=self._of.OFPFC_ADD,
            idle_timeout=flow.idle_timeout,
            priority=flow.key.priority,
            match=self._match(flow.key),
            instructions=self._instructions(flow),
        )

    def _remove_flow(self, key: state.FlowKey) -> Any:
        return self._parser.OFPFlowMod(
            datapath=self._to,
            table_id=key.table,
            command=self._of.OFPFC_DELETE_STRICT,
            priority=key.priority,
            out_port=self._of.OFPP_ANY,
            out_group=self._of.OFPG_ANY,
            match=self._match(key),
        )

    def _remove_cookie(self, request: requests.RemoveCookie) -> Any:
        return self._parser.OFPFlowMod(
            datapath=self._to,
            cookie=request.value,
            cookie_mask=request.mask,
            table_id=self._of.OFPTT_ALL,
            command=self._of.OFPFC_DELETE,
            out_port=self._of.OFPP_ANY,
            out_group=self._of.OFPG_ANY,
            match=self._parser.OFPMatch(),
        )

    def _match(self, key: state.FlowKey) -> Any:
        return self._parser.OFPMatch(**{name: _with_mask(value) for name, value in key.match})

    def _instructions(self, flow: state.Flow) -> list[Any]:
        parser, found = self._parser, []
        if flow.meter:
            found.append(parser.OFPInstructionMeter(flow.meter))
        if flow.actions:
            kind = self._of.OFPIT_APPLY_ACTIONS
            found.append(parser.OFPInstructionActions(kind, self._actions(flow.actions)))
        if flow.cls is not None:
            found.append(parser.OFPInstructionWriteMetadata(flow.cls, _CLASS_MASK))
        if flow.goto is not None:
            found.append(parser.OFPInstructionGotoTable(flow.goto))
        return found

    def _actions(self, actions: Iterable[state.Action]) -> list[Any]:
        return [self._action(action) for action in actions]

    def _action(self, action: state.Action) -> Any:
        match action:
            case state.Output():
                return self._parser.OFPActionOutput(action.port, state.COPIED_BYTES)
            case state.SetField():
                return self._parser.OFPActionSetField(**{action.name: action.value})
            case state.ToGroup():
                return self._parser.OFPActionGroup(action.group)

    def _group(self, number: int, group: state.Group, *, new: bool) -> Any:
        failover = group.kind == "failover"
        buckets = [
            self._parser.OFPBucket(
                watch_port=bucket.watch,
                watch_group=self._of.OFPG_ANY,
                actions=self._actions(bucket.actions),
            )
            for bucket in group.buckets
        ]
        return self._parser.OFPGroupMod(
            self._to,
            self._of.OFPGC_ADD if new else self._of.OFPGC_MODIFY,
            self._of.OFPGT_FF if failover else self._of.OFPGT_ALL,
            number,
            buckets,
        )

    def _remove(self, request: requests.Remove) -> Any:
        if request.kind is state.Meter:
            command, unit = self._of.OFPMC_DELETE, self._of.OFPMF_KBPS
            return self._parser.OFPMeterMod(self._to, command, unit, request.number, [])
        # The switch ignores the kind of a group to remove; buckets must not be given.
        command, kind = self._of.OFPGC_DELETE, self._of.OFPGT_ALL
        return self._parser.OFPGroupMod(self._to, command, kind, request.number, [])

    def _meter(self, number: int, meter: state.Meter, *, new: bool) -> Any:
        unit = self._of.OFPMF_PKTPS if meter.unit == "packets" else self._of.OFPMF_KBPS
        return self._parser.OFPMeterMod(
            self._to,
            self._of.OFPMC_ADD if new else self._of.OFPMC_MODIFY,
            unit | self._of.OFPMF_BURST | self._of.OFPMF_STATS,
            number,
            [self._parser.OFPMeterBandDrop(meter.rate, meter.burst)],
        )


class Decoder:
    """Reads what a switch says it holds; ``of`` has the library's constants of OpenFlow 1.3."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def flows(self, rows: Iterable[Any]) -> list[state.HeldFlow]:
        """All flows; ``flow`` is None for those that no controller of ours can have made."""
        return [
            state.HeldFlow(self._flow(row), row.cookie, row.packet_count, row.byte_count)
            for row in rows
        ]

    def _flow(self, row: Any) -> state.Flow | None:
        decoded = cookie.decode(row.cookie)
        if decoded is None or row.hard_timeout:
            return None
        match = tuple(sorted((name, _without_mask(value)) for name, value in row.match.items()))
        values: dict[str, Any] = {}
        for instruction in row.instructions:
            if not self._read_instruction(instruction, values):
                return None
        key = state.FlowKey(row.table_id, row.priority, match)
        return state.Flow(key, decoded[0], idle_timeout=row.idle_timeout, **values)

    def _read_instruction(self, instruction: Any, values: dict[str, Any]) -> bool:
        of = self._of
        if instruction.type == of.OFPIT_METER:
            values["meter"] = instruction.meter_id
        elif instruction.type == of.OFPIT_APPLY_ACTIONS:
            values["actions"] = self._actions(instruction.actions)
        elif instruction.type == of.OFPIT_WRITE_METADATA:
            values["cls"] = instruction.metadata
        elif instruction.type == of.OFPIT_GOTO_TABLE:
            values["goto"] = instruction.table_id
        else:
            return False
        return True

    def _actions(self, rows: Iterable[Any]) -> tuple[state.Action, ...] | None:
        """The actions of a flow; None where we would never make them."""
        found: list[state.Action] = []
        for row in rows:
            if row.type == self._of.OFPAT_OUTPUT:
                found.append(state.Output(row.port))
            elif row.type == self._of.OFPAT_SET_FIELD:
                found.append(state.SetField(row.key, row.value))
            elif row.type == self._of.OFPAT_GROUP:
                found.append(state.ToGroup(row.group_id))
            else:
                return None
        return tuple(found)

    def groups(self, rows: Iterable[Any]) -> dict[int, state.Group | None]:
        """All groups by number; None for a kind that we do not make."""
        return {row.group_id: self._group(row) for row in rows}

    def _group(self, row: Any) -> state.Group | None:
        buckets = []
        for bucket in row.buckets:
            actions = self._actions(bucket.actions)
            if actions is None:
                return None
            buckets.append(state.Bucket(actions, bucket.watch_port))
        if row.type == self._of.OFPGT_FF:
            return state.Group(tuple(buckets))
        return state.Group(tuple(buckets), "all") if row.type == self._of.OFPGT_ALL else None

    def meters(self, rows: Iterable[Any]) -> dict[int, state.Meter | None]:
        """All meters by number; None for a kind that we do not make."""
        return {row.meter_id: self._meter(row) for row in rows}

    def _meter(self, row: Any) -> state.Meter | None:
        if len(row.bands) != 1 or row.bands[0].type != self._of.OFPMBT_DROP:
            return None
        band = row.bands[0]
        packets = row.flags & self._of.OFPMF_PKTPS
        return state.Meter(band.rate, band.burst_size, "packets" if packets else "kbit")

    def dropped(self, rows: Iterable[Any]) -> dict[int, tuple[int, int]]:
        """Packets and bytes that each meter has dropped, by number."""
        return {
            row.meter_id: (
                sum(band.packet_band_count for band in row.band_stats),
                sum(band.byte_band_count for band in row.band_stats),
            )
            for row in rows
        }


def _with_mask(value: state.Value) -> Any:
    if isinstance(value, str) and "/" in value:
        return tuple(value.split("/"))
    return value


def _without_mask(value: Any) -> state.Value:
    if isinstance(value, tuple):
        return "/".join(str(part) for part in value)
    return value  # type: ignore[no-any-return]
