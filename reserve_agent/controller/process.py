"""The controller's process: its history, the questions of the run, and the switches behind them.

One thread serves sockets and writes the history; the framework has threads of its own.
"""

from __future__ import annotations

import selectors
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

from reserve_agent.contract.events import switches
from reserve_agent.contract.events.base import Event
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.counting import count_packets, read_packets
from reserve_agent.controller.pressure import PressureListener
from reserve_agent.controller.switches import Switches
from reserve_agent.lines.framing import Message
from reserve_agent.lines.server import LineServer
from reserve_agent.record import NodeHistory
from reserve_agent.switch_exporter import CONTROLLER, SwitchExporter

_TICK_SECONDS = 0.1


class Controller:
    """The controller of one run; ``run`` returns when SIGTERM arrives."""

    def __init__(self, config: ControllerConfig) -> None:
        self._config = config
        self._selector = selectors.DefaultSelector()
        self._lock = threading.RLock()
        self._counting = False
        self._stopping = False
        self._finished = False
        self._was_ready = False
        self._starts = 0
        self._metrics_port = 0
        self._shown: Mapping[str, Any] = {}
        self._exporter = SwitchExporter(self._show)
        config.history.parent.mkdir(parents=True, exist_ok=True)
        self._history = NodeHistory(config.history, CONTROLLER, self._observe)
        self.switches = Switches(
            config.network, config.classes, config.shed, self.record, ready_before=self._was_ready
        )
        nodes = {port.node for port in config.network.hosts}
        self._pressure = PressureListener(nodes, self.switches.shed, self.record, time.monotonic_ns)
        if self._starts:
            self.record(switches.ControllerRestarted())

    def _observe(self, event: Event) -> None:
        """Take an event that is on file, also those that an earlier controller has written."""
        self._was_ready |= isinstance(event, switches.ControllerReady)
        if isinstance(event, switches.ControllerStarted):
            self._starts += 1
            self._metrics_port = event.metrics_port
        self._exporter.observe(event)

    def _show(self) -> Mapping[str, Any]:
        """The counters of the switches, for a scrape; the last ones where a switch is silent."""
        if (table := read_packets(self.switches)) is not None:
            self._shown = {"table": table.arrived(), "dropped": table.dropped()}
        return self._shown

    def record(self, event: Event) -> None:
        """Add an event to the history; from any thread."""
        with self._lock:
            if not self._finished:
                self._history.record(event)

    def run(self) -> None:
        """Serve until SIGTERM."""
        from reserve_agent.controller import framework

        signal.signal(signal.SIGTERM, self._stop)
        self._config.control.unlink(missing_ok=True)  # of a controller that was killed
        # The port of the controller before, if there was one, so that scrapers find this one.
        port = self._exporter.serve(self._metrics_port)
        self.record(switches.ControllerStarted(framework=framework.NAME, metrics_port=port))
        self._server = LineServer(self._config.control, self._selector, self._handle)
        try:
            while not self._stopping:
                self._serve(_TICK_SECONDS)
            self._finish()
        finally:
            self._server.close()
            self.switches.close()
            self._pressure.close()

    def _serve(self, seconds: float) -> None:
        """Wait for messages, for so long at most, and do what is due."""
        for key, _ in self._selector.select(min(seconds, _TICK_SECONDS)):
            key.data()
        self.switches.tick()
        self._pressure.refuse_lines(self._server.malformed, "no JSON object")
        self._server.malformed = 0
        self._pressure.tick()
        self._flush()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _finish(self) -> None:
        """Close the history; what the framework's threads still tell is after the run."""
        with self._lock:
            self._history.finish()
            self._finished = True

    def _flush(self) -> None:
        with self._lock:
            self._history.flush()

    def _handle(self, message: Message) -> Message | None:
        """Take a question of the run, or the message of an agent, which gets no answer."""
        match message.get("op"):
            case "status":
                return self._status()
            case "packets":
                return self._count()
            case "pressure":
                self._pressure.hear(message)
                return None
            case op:
                return {"error": f"unknown operation {op!r}"}

    def _status(self) -> Message:
        reply = {
            **self.switches.status(),
            "restarts": self._starts - 1,
            "metrics_port": self._metrics_port,
            "pressure": self._pressure.status(),
        }
        self._flush()  # what the reply tells is in the history by then
        return reply

    def _count(self) -> Message:
        """Record how many packets the switches have counted.

        That takes a second or more, and other messages are served meanwhile.
        """
        if self._counting:
            return {"error": "packets: somebody else has asked, and is not answered yet"}
        self._counting = True
        try:
            table = count_packets(self.switches, self._serve)
        finally:
            self._counting = False
        if table is None:
            return {"error": "packets: a switch does not answer"}
        self.record(switches.SwitchPacketsCounted(table=table.arrived(), dropped=table.dropped()))
        self._flush()
        return {"ok": True}
