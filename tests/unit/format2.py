"""Makes of a history of format 1 what the same run would have written in format 2."""

from __future__ import annotations

import gzip
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from reserve_agent.part import PartSum

Record = dict[str, Any]
RECORDED: Final = Path(__file__).parent / "data" / "sabotage"
_WRITERS: Final[Mapping[str, str]] = {
    "heartbeat.": "h",
    "membership.": "h",
    "ring.": "h",
    "fence.request": "h",
    "write.": "i",
    "io.": "i",
    "dirty.": "i",
    "service.": "s",
}
_READY: Final[Mapping[str, str]] = {
    "heartbeat": "h",
    "initiator": "i",
    "service": "s",
    "traffic": "t",
}


def part_of(record: Record) -> str:
    """The part of the history that an event is in."""
    node: str = record["node"]
    return "run" if node == "storage" or str(record.get("id", "")).startswith("run:") else node


def _writer(record: Record) -> str:
    kind = record["kind"]
    if kind == "daemon.ready":
        return _READY.get(record["name"], "a")
    return next((writer for start, writer in _WRITERS.items() if kind.startswith(start)), "a")


def numbered(records: Iterable[Record]) -> list[Record]:
    """The same events with their ids, without sums."""
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    lives: dict[str, int] = defaultdict(int)
    found = []
    for record in records:
        record = {key: value for key, value in record.items() if key != "id"}
        part = part_of(record)
        writer = "run" if part == "run" else _writer(record)
        if writer.isalpha() and writer not in ("a", "run"):
            writer = f"{writer}{lives[part] or ''}"
        lives[part] += record["kind"] == "node.reset"
        found.append({**record, "id": f"{writer}:{numbers[part, writer]}"})
        numbers[part, writer] += 1
        if record["kind"] == "run.info":
            found[-1]["format"] = 2
    return found


def closed(records: Sequence[Record]) -> list[Record]:
    """The same events, and at the end the sum of each part."""
    sums: dict[str, PartSum] = defaultdict(PartSum)
    for record in records:
        sums[part_of(record)].add(record["id"], record["kind"], orjson.dumps(record) + b"\n")
    last = max(record["t"] for record in records)
    ends = []
    for place, part in enumerate(sorted(sums, key=lambda name: name == "run"), 1):
        keeper = "run" if part == "run" else "a"
        event = {
            **sums[part].closing().record(),
            "node": part,
            "t": last + place * 1000,
            "id": f"{keeper}:{sums[part].writers[keeper]}",
        }
        ends.append(event)
    return [*records, *ends]


def run_json(records: Sequence[Record], content: bytes) -> Record:
    """What run.json says of a history."""
    info = next((dict(one) for one in records if one["kind"] == "run.info"), {})
    for key in ("t", "node", "kind", "id"):
        info.pop(key, None)
    digest = hashlib.sha256(content).hexdigest()
    merged = {"format": 2, "events": len(records), "sha256": digest, "parts": {}}
    return {**info, "format": 2, "history": merged}


def content_of(records: Sequence[Record]) -> bytes:
    """A history file."""
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def write(directory: Path, records: Sequence[Record], scenario: Record) -> Path:
    """Write a run directory, as the run would have left it."""
    directory.mkdir(parents=True, exist_ok=True)
    content = content_of(records)
    (directory / "history.jsonl").write_bytes(content)
    (directory / "scenario.json").write_bytes(orjson.dumps(scenario))
    (directory / "run.json").write_bytes(orjson.dumps(run_json(records, content)))
    return directory


def converted(directory: Path) -> tuple[list[Record], Record]:
    """The events of a recorded run of format 1, in format 2, and its scenario."""
    packed = directory / "history.jsonl.gz"
    if packed.exists():
        content = gzip.decompress(packed.read_bytes())
    else:
        content = (directory / "history.jsonl").read_bytes()
    records = [orjson.loads(line) for line in content.splitlines()]
    scenario = orjson.loads((directory / "scenario.json").read_bytes())
    return closed(numbered(records)), scenario
