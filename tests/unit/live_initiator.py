"""An initiator in a thread, over a real target; only the page pool is a stand-in."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from nodes.block import initiator, verify
from nodes.block.config import InitiatorConfig
from nodes.block.initiator import Initiator
from nodes.waiting import wait_until
from reserve_agent.config_files import build
from reserve_agent.contract.events.base import Event
from reserve_agent.errors import CrunchbedError
from tests.unit.block_target import ADDRESS, Target

SECOND = 1_000_000_000


class State:
    """What the pool's memory shows."""

    dirty = 0
    demand = 0


class Pool:
    """Pages without a bound."""

    def __init__(self) -> None:
        self.state = State()
        self.cleaned = 0
        self.calmed = False

    def dirty(self, pages: int) -> None:
        self.state.dirty += pages

    def clean(self, pages: int) -> int:
        self.state.dirty -= pages
        self.cleaned += pages
        return pages

    def calm(self) -> None:
        self.calmed = True


class Events:
    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def emit(self, event: Event) -> None:
        self.seen.append(event.record())

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["kind"] == kind]


CONFIG: dict[str, Any] = {
    "node": "n1",
    "index": 0,
    "incarnation": 2,
    "pins": "unused",
    "address": ADDRESS,
    "first_block": 8,
    "region_blocks": 200,
    "queue_depth": 4,
    "request_blocks": 4,
    "dirty_rate": 2000,
    "iscsi": {
        "login_timeout": 5 * SECOND,
        "noop_out_interval": SECOND // 5,
        "noop_out_timeout": SECOND // 5,
        "replacement_timeout": None,
        "chap": None,
    },
    "nbd": {"timeout": 0, "dead_conn_timeout": None},
}


class Running:
    """An initiator in a thread."""

    def __init__(
        self, target: Target, scratch: Path, patch: pytest.MonkeyPatch, **settings: Any
    ) -> None:
        self.pool, self.events = Pool(), Events()
        patch.setattr(initiator.PoolHandle, "open", lambda _: self.pool)
        patch.setattr(initiator, "connect_events", lambda *_: self.events)
        self.control = scratch / "control"
        self.stop = threading.Event()
        self._target = target
        transport = target.settings.transport
        config = {**CONFIG, "port": target.port, "control": str(self.control)}
        config["transport"] = transport
        config[transport] = {**config[transport], **settings}
        self.initiator = Initiator(build(config, InitiatorConfig))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.error: CrunchbedError | None = None

    def _run(self) -> None:
        class Stop:
            def __bool__(_) -> bool:  # noqa: N805
                return self.stop.is_set()

        try:
            self.initiator.run(Stop())  # type: ignore[arg-type]
        except CrunchbedError as error:
            self.error = error

    def begin(self) -> None:
        self.thread.start()
        wait_until(lambda: self.events.of("daemon.ready"), 10, "the initiator is ready")

    def end(self) -> None:
        self.stop.set()
        self.thread.join()
        assert self.error is None, self.error

    def check_nothing_is_lost(self) -> None:
        """Every acknowledged block is in the file, and no write was forgotten on the way."""
        written = {event["seq"] for event in self.events.of("write.ack")}
        assert set(range(1, max(written) - 4)) <= written
        counts = self.judge()
        assert counts["ok"] > 0
        assert (counts["lost"], counts["corrupt"]) == (0, 0)

    def writes(self) -> int:
        return len(self.events.of("write.ack"))

    def wait_for_writes(self, more: int) -> None:
        wanted = self.writes() + more
        wait_until(lambda: self.writes() >= wanted, 5, f"{more} more writes")

    def judge(self) -> dict[str, int]:
        rows = [
            (0, each["incarnation"], each["seq"], each["block"], each["blocks"])
            for each in self.events.of("write.ack")
        ]
        return verify.check_file(self._target.disk, verify.newest(rows))
