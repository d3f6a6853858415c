"""The OpenFlow controller of a run: its process, and the questions that the run has for it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from crunchbed.backends.common.live_run import Killable, LiveRun
from crunchbed.backends.namespaces import configs
from crunchbed.run import signals
from crunchbed.scenario.shed import OFF, rules
from nodes.process import Process
from nodes.waiting import wait_until
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.wiring import Network
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.client import LineClient
from reserve_agent.lines.framing import Message
from reserve_agent.switch_exporter import CONTROLLER

_LOOPBACK = "127.0.0.1"
READY_SECONDS = 15.0
"""Open vSwitch tries every second to reach a controller, and then takes its flows."""
_ANSWER_SECONDS = 30.0  # packets are counted until two counts in a row are the same


def _free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.socket() as one:
        one.bind((_LOOPBACK, 0))
        port: int = one.getsockname()[1]
        return port


class LiveController(Killable):
    """Implements ``crunchbed.run.world.KillsController``: it starts again on the same ports."""

    def __init__(self, run: LiveRun) -> None:
        super().__init__(
            run, "controller", "reserve_agent.controller", run.state / "controller.json"
        )
        self._socket = run.state / "controller"
        self._watched: list[Process] = []
        self.listen = (_LOOPBACK, _free_port())

    @property
    def told_of_pressure(self) -> Path | None:
        """Where agents report; None where nothing is shed, and nobody would act on it."""
        return None if self._run.scenario.shed.mode == OFF else self._socket

    def watch(self, processes: list[Process]) -> None:
        """Keep the controller's process among those that must live as long as the run."""
        self._watched = processes
        if self.process is not None:
            processes.append(self.process)

    def start(self, network: Network, cgroup: Path) -> None:
        """Start the controller; ``wait_until_ready`` returns when the switches forward."""
        scenario = self._run.scenario
        config = ControllerConfig(
            run=self._run.run_id,
            listen=self.listen,
            control=self._socket,
            network=network,
            classes=tuple(configs.hook_settings(scenario).rules),
            shed=rules(scenario.shed),
            history=self._run.history("controller"),
        )
        self.begin(config, cgroup)

    def restart(self) -> None:
        """Start a controller that takes over; harmless while there is one."""
        if self.process is None:
            self._watched.append(self._spawn())

    def kill(self) -> bool:
        """SIGKILL the controller; the switches go on with the flows that they have."""
        if self.process is not None and self.process in self._watched:
            self._watched.remove(self.process)  # its end is no failure of the testbed
        return super().kill()

    def ask(self, op: str) -> Message:
        """Ask the controller; raises CrunchbedError where it does not answer, or refuses."""
        with contextlib.closing(LineClient(self._socket, _ANSWER_SECONDS)) as client:
            return client.ask(op=op)

    def is_ready(self) -> bool:
        """Whether every switch holds every flow; quotes a controller that has ended."""
        process = self.process
        if process is not None and (code := process.poll()) is not None:
            raise CrunchbedError(f"the controller ended ({code}): {process.last_words()}")
        with contextlib.suppress(CrunchbedError):  # no socket yet, or not listening yet
            return bool(self.ask("status")["ready"])
        return False

    def wait_until_ready(self) -> None:
        """Return when every switch holds every flow; then says where the metrics are.

        Raises CrunchbedError with the last words of a controller that is not ready in time.
        """
        what = f"the controller has every flow in place; see {self._run.log(self._name)}"
        try:
            wait_until(self.is_ready, READY_SECONDS, what, pump=signals.check)
        except CrunchbedError as error:
            process = self.process
            if process is None or process.poll() is not None:
                raise  # with the words of a dead one
            raise CrunchbedError(f"{error}: {process.last_words()}".rstrip(": ")) from error
        self._run.targets.serve(CONTROLLER, self.ask("status")["metrics_port"])

    def count_packets(self) -> None:
        """Have the controller write the packets that the switches counted into the history.

        A controller that has yet to take over is waited for, since it knows of no packets.
        """
        with contextlib.suppress(CrunchbedError):
            self.wait_until_ready()
            self.ask("packets")
