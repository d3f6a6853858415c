"""Damages to a whole history, drawn from a seed: each is what a fault of the testbed could leave.

A damage is a function of the events, which are in the order of time, and of chance. Those in
``SILENT`` are done before the parts are numbered and closed: no number and no sum shows them, only
that the rest of the history says otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Record = dict[str, Any]
Damage = Callable[[list[Record], random.Random], list[Record]]

_NODES: Final = ("n1", "n2", "n3")
_MS: Final = 1_000_000
_WRITERS: Final = ("a", "h", "i")


def _some(records: Sequence[Record], chance: random.Random) -> int:
    """A place within the run, not at its very ends."""
    return chance.randrange(len(records) // 10, len(records) * 9 // 10)


def _kind_lost(records: list[Record], chance: random.Random) -> list[Record]:
    kind = chance.choice(sorted({one["kind"] for one in records}))
    return [one for one in records if one["kind"] != kind]


def _kind_of_node_lost(records: list[Record], chance: random.Random) -> list[Record]:
    kinds = sorted({(one["kind"], one["node"]) for one in records})
    chosen = chance.choice(kinds)
    return [one for one in records if (one["kind"], one["node"]) != chosen]


def _node_lost(records: list[Record], chance: random.Random) -> list[Record]:
    node = chance.choice(_NODES)
    return [one for one in records if one["node"] != node]


def _writer_lost(records: list[Record], chance: random.Random) -> list[Record]:
    node, writer = chance.choice(_NODES), chance.choice(_WRITERS)
    return [one for one in records if one["node"] != node or one["id"][0] != writer]


def _every_second_lost(records: list[Record], chance: random.Random) -> list[Record]:
    return records[chance.randrange(2) :: 2]


def _one_lost(records: list[Record], chance: random.Random) -> list[Record]:
    place = chance.randrange(len(records))
    return records[:place] + records[place + 1 :]


def _hole(records: list[Record], chance: random.Random) -> list[Record]:
    place, length = _some(records, chance), chance.choice((2, 20, 200, 600))
    return records[:place] + records[place + length :]


def _hole_of_node(records: list[Record], chance: random.Random) -> list[Record]:
    node, begin = chance.choice(_NODES), records[_some(records, chance)]["t"]
    end = begin + chance.choice((100, 500, 2000)) * _MS
    return [one for one in records if one["node"] != node or not begin <= one["t"] < end]


def _long_hole(records: list[Record], chance: random.Random) -> list[Record]:
    """Nothing of a node for so long that its periodic records show it."""
    measured = [one["t"] for one in records if one.get("name") in ("control", "collect")]
    begin = chance.randrange(measured[0], measured[-1] - 1_000 * _MS)
    end = begin + chance.choice((600, 1_000, 2_000)) * _MS
    node = chance.choice(_NODES)
    return [one for one in records if one["node"] != node or not begin <= one["t"] < end]


def _read_back_lost(records: list[Record], _chance: random.Random) -> list[Record]:
    return [one for one in records if one["kind"] != "verify.result"]


def _cut(records: list[Record], chance: random.Random) -> list[Record]:
    return records[: chance.randrange(1, len(records))]


def _part_stopped(records: list[Record], chance: random.Random) -> list[Record]:
    """A node's agent is killed, and nobody takes over."""
    node, end = chance.choice(_NODES), records[_some(records, chance)]["t"]
    return [one for one in records if one["node"] != node or one["t"] < end]


def _head_lost(records: list[Record], chance: random.Random) -> list[Record]:
    return records[chance.randrange(1, len(records)) :]


def _part_not_closed(records: list[Record], chance: random.Random) -> list[Record]:
    node = chance.choice((*_NODES, "run"))
    return [one for one in records if (one["kind"], one["node"]) != ("part.closed", node)]


def _phase_emptied(records: list[Record], chance: random.Random) -> list[Record]:
    marks = [one for one in records if one["kind"] == "phase"]
    place = chance.randrange(len(marks) - 1)
    begin, end = marks[place]["t"], marks[place + 1]["t"]
    return [one for one in records if not begin < one["t"] < end or one["node"] == "run"]


def _phase_lost(records: list[Record], chance: random.Random) -> list[Record]:
    marks = [one for one in records if one["kind"] == "phase"]
    lost = chance.choice(marks)
    return [one for one in records if one is not lost]


def _doubled(records: list[Record], chance: random.Random) -> list[Record]:
    place, length = _some(records, chance), chance.choice((1, 10, 300))
    again = [dict(one) for one in records[place : place + length]]
    return records[: place + length] + again + records[place + length :]


def _numbers_swapped(records: list[Record], chance: random.Random) -> list[Record]:
    """Events of one writer are put on file in another order than that in which they happened."""
    node, writer = chance.choice(_NODES), "h:"
    own = [one for one in records if one["node"] == node and one["id"].startswith(writer)]
    turned = dict(
        zip((one["id"] for one in own), reversed([one["id"] for one in own]), strict=True)
    )
    return [
        {**one, "id": turned[one["id"]]} if one["node"] == node and one["id"] in turned else one
        for one in records
    ]


def _shifted(records: list[Record], chance: random.Random) -> list[Record]:
    """The clock of one node is wrong."""
    node, by = chance.choice(_NODES), chance.choice((-60_000, 3_000, 60_000)) * _MS
    return [{**one, "t": one["t"] + by} if one["node"] == node else one for one in records]


def _stood_still(records: list[Record], chance: random.Random) -> list[Record]:
    """The clock of one node stands for a second or more."""
    node, begin = chance.choice(_NODES), records[_some(records, chance)]["t"]
    end = begin + chance.choice((1_000, 3_000)) * _MS
    return [
        {**one, "t": begin} if one["node"] == node and begin < one["t"] < end else one
        for one in records
    ]


def _changed(kind: str, key: str, *values: Any) -> Damage:
    """A damage that puts another value into one event of a kind."""

    def change(records: list[Record], chance: random.Random) -> list[Record]:
        places = [place for place, one in enumerate(records) if one["kind"] == kind]
        place = chance.choice(places)
        return [
            *records[:place],
            {**records[place], key: chance.choice(values)},
            *records[place + 1 :],
        ]

    return change


def _number_changed(records: list[Record], chance: random.Random) -> list[Record]:
    """Any number of any event gets another value."""
    place = chance.choice([p for p, one in enumerate(records) if _numbers_of(one)])
    key = chance.choice(_numbers_of(records[place]))
    value = chance.choice((0, -1, records[place][key] + 1, 2 * records[place][key] + 7, 10**18))
    changed = {**records[place], key: value}
    return [*records[:place], changed, *records[place + 1 :]]


def _numbers_of(record: Record) -> list[str]:
    return [key for key, value in record.items() if type(value) is int]


def _type_changed(records: list[Record], chance: random.Random) -> list[Record]:
    """Any field of any event gets a value of another type."""
    place = chance.randrange(len(records))
    key = chance.choice([key for key in records[place] if key != "kind"])
    old = records[place][key]
    values = [v for v in (None, "x", 1.5, [], {}, [1]) if not isinstance(v, type(old))]
    return [*records[:place], {**records[place], key: chance.choice(values)}, *records[place + 1 :]]


def _injector_killed(records: list[Record], chance: random.Random) -> list[Record]:
    """The run ends in the middle: none of its events is there from then on."""
    begin = next(one["t"] for one in records if one["kind"] == "crunch.begin")
    end = begin + chance.choice((0, 100, 1000)) * _MS
    return [one for one in records if one["node"] not in ("run", "storage") or one["t"] <= end]


def _journal_overflowed(records: list[Record], chance: random.Random) -> list[Record]:
    """The hooks wrote over a part of their journal before it was read."""
    entries = [one for one in records if "entry" in one]
    place = chance.randrange(len(entries) - 1)
    lost = entries[place : place + chance.choice((1, 5, 50))]
    gone = {id(one) for one in lost}
    return [one for one in records if id(one) not in gone]


def _late_part(records: list[Record], chance: random.Random) -> list[Record]:
    """A node's recording begins when the run is on its way."""
    node = chance.choice(_NODES)
    control = next(one["t"] for one in records if one.get("name") == "control")
    begin = control + chance.choice((1, 500, 2_000)) * _MS
    return [one for one in records if one["node"] != node or one["t"] >= begin]


def _only_kinds(*kinds: str) -> Damage:
    def lose(records: list[Record], chance: random.Random) -> list[Record]:
        nodes = chance.choice(((chance.choice(_NODES),), _NODES))
        return [one for one in records if one["kind"] not in kinds or one["node"] not in nodes]

    return lose


AFTER: Final[Mapping[str, Damage]] = {
    "a kind lost": _kind_lost,
    "a kind of a node lost": _kind_of_node_lost,
    "all of a node lost": _node_lost,
    "all of a daemon lost": _writer_lost,
    "every second line lost": _every_second_lost,
    "one line lost": _one_lost,
    "a hole": _hole,
    "a hole in a node": _hole_of_node,
    "the end cut off": _cut,
    "the beginning cut off": _head_lost,
    "a node's part stopped": _part_stopped,
    "a node's part begun late": _late_part,
    "a part not closed": _part_not_closed,
    "a phase emptied": _phase_emptied,
    "a phase's mark lost": _phase_lost,
    "lines doubled": _doubled,
    "a writer's lines reordered": _numbers_swapped,
    "a node's clock shifted": _shifted,
    "a node's clock stood": _stood_still,
    "the run killed in the injection": _injector_killed,
    "the hooks' journal overflowed": _journal_overflowed,
    "a type changed": _type_changed,
    "a number changed": _number_changed,
}
"""Damages to a history that was numbered and closed."""

SILENT: Final[Mapping[str, Damage]] = {
    "all of a node lost": _node_lost,
    "all of a daemon lost": _writer_lost,
    "every second line lost": _every_second_lost,
    "a hole in a node of 0.5 s or more": _long_hole,
    "a node's part begun late": _late_part,
    "a phase's mark lost": _phase_lost,
    "a node's clock shifted": _shifted,
    "a node's clock stood": _stood_still,
    "the run killed in the injection": _injector_killed,
    "the hooks' journal overflowed": _journal_overflowed,
    "acknowledgements lost": _only_kinds("write.ack"),
    "heartbeats sent lost": _only_kinds("heartbeat.sent"),
    "heartbeats received lost": _only_kinds("heartbeat.received"),
    "samples lost": _only_kinds("pool.sample"),
    "views lost": _only_kinds("membership.view"),
    "a read-back that does not add up": _changed("verify.result", "checked", 0, 1, 10**6, 10**18),
    "a read-back lost": _read_back_lost,
    "another scenario": _changed("run.info", "scenario", "control", "", "flood"),
    "another backend": _changed("run.info", "backend", "ovs", "none"),
    "a cluster that was not healthy": _changed("recovery", "healthy", False),
    "an acknowledgement before its write": _changed("write.ack", "submitted", 10**17, 10**18),
    "a block that is nowhere": _changed("write.ack", "block", 10**9, 10**15),
    "a negative count": _changed("heartbeat.received", "malformed", -1, -(10**9)),
    "pages from nowhere": _changed("pool.sample", "free", 10**5, 10**12),
}
"""Damages before the history was numbered and closed."""
