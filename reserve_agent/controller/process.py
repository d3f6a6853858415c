"""The controller's process: its history, the run's questions, and the switchboard behind them.

One thread serves sockets and writes the history; the framework has threads of its own.
"""

from __future__ import annotations

import selectors
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.counting import count_packets, glance
from reserve_agent.controller.switchboard import Switchboard
from reserve_agent.lines import LineServer, Message
from reserve_agent.record import NodeHistory
from reserve_agent.switch_exporter import SwitchExporter

NODE = "controller"
"""Under which name its events stand in the history."""
_TICK_SECONDS = 0.1


class Controller:
    """See the module; ``run`` returns when SIGTERM arrives.

    Args:
        config: What the run has written.

    Attributes:
        board: The switches.
        selector: Serves sockets; a key's ``data`` is called when there is something to read.
        ticks: Called several times a second.
        ends: Called once, before the history is closed.
        reports: What the answer to ``status`` has beside the switchboard's.
    """

    def __init__(self, config: ControllerConfig) -> None:
        self.selector = selectors.DefaultSelector()
        self.ticks: list[Callable[[], None]] = []
        self.ends: list[Callable[[], None]] = []
        self.reports: list[Callable[[], Mapping[str, Any]]] = []
        self._config = config
        self._lock = threading.RLock()
        self._counting = False
        self._readies = 0
        self._restarts = 0
        self._metrics_port = 0
        self._shown: Mapping[str, Any] = {}
        self._exporter = SwitchExporter(self._show)
        config.history.parent.mkdir(parents=True, exist_ok=True)
        self._history = NodeHistory(config.history, NODE, self._observe)
        self.board = Switchboard(config.network, config.classes, config.shed, self.note)
        self.ticks.append(self.board.tick)
        self.ends.append(self.board.close)
        if self._restarts:
            self.record({"kind": "controller.restarted"})
        if self._readies:
            self.board.continues()
        self._stopping = False

    def _observe(self, event: Message) -> None:
        """Of every event that is on file, those of a controller before this one included."""
        self._readies += event["kind"] == "controller.ready"
        self._restarts += event["kind"] == "controller.start"
        self._metrics_port = event.get("metrics_port", self._metrics_port)
        self._exporter.observe(event)

    def _show(self) -> Mapping[str, Any]:
        """What the switches have counted, for a scrape: the last answer where they have none."""
        if (table := glance(self.board, time.monotonic)) is not None:
            self._shown = {"table": table.arrived(), "dropped": table.dropped()}
        return self._shown

    def record(self, event: Message) -> None:
        """Write an event into the history; from any thread."""
        with self._lock:
            self._history.record(event)

    def note(self, kind: str, **fields: Any) -> None:
        """Write an event with these fields into the history; from any thread."""
        self.record({"kind": kind, **fields})

    def run(self) -> None:
        """Serve until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        self._config.control.unlink(missing_ok=True)  # of a controller that was killed
        port = self._exporter.serve(self._metrics_port)  # of the one before, so that it is found
        self.note("controller.start", framework=self._framework_name(), metrics_port=port)
        server = LineServer(self._config.control, self.selector, self._handle)
        try:
            while not self._stopping:
                self._serve(_TICK_SECONDS)
        finally:
            server.close()
            for end in self.ends:
                end()
            self._flush()

    def _serve(self, seconds: float) -> None:
        """Wait so long at most, and do what there is to do."""
        for key, _ in self.selector.select(min(seconds, _TICK_SECONDS)):
            key.data()
        for tick in self.ticks:
            tick()
        self._flush()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _flush(self) -> None:
        with self._lock:
            self._history.flush()

    @staticmethod
    def _framework_name() -> str:
        from reserve_agent.controller import framework

        return framework.NAME

    def _handle(self, message: Message) -> Message | None:
        """A question of the run."""
        op = message.get("op")
        if op == "status":
            own = {"restarts": self._restarts - 1, "metrics_port": self._metrics_port}
            reply: Message = {**self.board.status(), **own}
            for report in self.reports:
                reply.update(report())
            self._flush()  # what it says is in the history by then
            return reply
        if op == "packets":
            return self._count()
        return {"error": f"unknown operation {op!r}"}

    def _count(self) -> Message:
        """Write down how many packets the switches have counted.

        That takes a second or more, and whatever else comes is served meanwhile.
        """
        if self._counting:
            return {"error": "packets: somebody else has asked, and is not answered yet"}
        self._counting = True
        try:
            table = count_packets(self.board, time.monotonic, self._serve)
        finally:
            self._counting = False
        if table is None:
            return {"error": "packets: a switch does not answer"}
        self.record(
            {"kind": "switch.packets", "table": table.arrived(), "dropped": table.dropped()}
        )
        self._flush()
        return {"ok": True}
