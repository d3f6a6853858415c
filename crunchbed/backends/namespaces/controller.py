"""The OpenFlow controller of a run: its process, and the questions that the run has for it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from crunchbed.backends.namespaces import configs, daemons
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.targets import Targets
from crunchbed.run import signals
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.shed import OFF, rules
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.config_files import write_config
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.wiring import Network
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines import LineClient, Message
from reserve_agent.switch_exporter import CONTROLLER

LOOPBACK = "127.0.0.1"
READY_SECONDS = 15.0
"""Open vSwitch tries every second to reach a controller, and then takes its flows."""
_ANSWER_SECONDS = 30.0  # packets are counted until two counts in a row are the same


def _free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        port: int = one.getsockname()[1]
        return port


class LiveController:
    """Implements ``crunchbed.run.world.KillsController``: it starts again on the same ports.

    Args:
        scenario: As resolved.
        places: Where the run keeps things.
        started: Is told of its process.
        targets: Told where its metrics are.
    """

    def __init__(
        self,
        scenario: Scenario,
        places: Places,
        started: Callable[[Process], None],
        targets: Targets | None = None,
    ) -> None:
        self._scenario = scenario
        self._places = places
        self._started = started
        self._targets = targets
        self._process: Process | None = None
        self._cgroup: Path | None = None
        self._watched: list[Process] | None = None
        self.listen = (LOOPBACK, _free_port())

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        places: Places,
        started: Callable[[Process], None],
        targets: Targets | None = None,
    ) -> LiveController | None:
        """Return the controller that the scenario asks for, not started yet, or None."""
        if scenario.cluster.controller == "none":
            return None
        return cls(scenario, places, started, targets)

    @property
    def told_of_pressure(self) -> Path | None:
        """Where agents report; None where nothing is shed, and nobody would act on it."""
        return None if self._scenario.shed.mode == OFF else self._socket

    @property
    def process(self) -> Process | None:
        """The controller's process; None while it is killed."""
        return self._process

    def watch(self, processes: list[Process]) -> None:
        """Keep the controller's process among those that must live as long as the run."""
        self._watched = processes
        if self._process is not None:
            processes.append(self._process)

    def start(self, network: Network, cgroup: Path) -> None:
        """Start the controller; ``wait_until_ready`` returns when the switches forward."""
        config = ControllerConfig(
            run=self._places.run_id,
            listen=self.listen,
            control=self._socket,
            network=network,
            classes=tuple(configs.hook_settings(self._scenario).rules),
            shed=rules(self._scenario.shed),
            history=self._places.out / "history" / "controller.jsonl",
        )
        write_config(self._config, config)
        self._cgroup = cgroup
        self.restart()

    @property
    def _socket(self) -> Path:
        return self._places.state / "controller"

    @property
    def _config(self) -> Path:
        return self._places.state / "controller.json"

    def restart(self) -> None:
        """Start a controller that takes over; harmless while there is one."""
        if self._process is None:
            self._process = spawn(
                daemons.argv("reserve_agent.controller", self._config),
                name="controller",
                log=self._places.out / "logs" / "controller.log",
                netns_pid=None,
                cgroup=self._cgroup,
            )
            self._started(self._process)
            if self._watched is not None:
                self._watched.append(self._process)

    def kill(self) -> bool:
        """SIGKILL the controller; the switches go on with the flows that they have.

        Returns whether there was a controller.
        """
        process, self._process = self._process, None
        if process is None:
            return False
        if self._watched is not None:
            self._watched.remove(process)  # its end is no failure of the testbed
        process.kill()
        return True

    def ask(self, op: str) -> Message:
        """Ask the controller.

        Raises:
            CrunchbedError: The controller does not answer, or refuses.
        """
        client = LineClient(self._socket, _ANSWER_SECONDS)
        try:
            return client.ask(op=op)
        finally:
            client.close()

    def is_ready(self) -> bool:
        """Whether every switch holds every flow.

        Raises:
            CrunchbedError: The controller has ended; with its last words.
        """
        process = self._process
        if process is not None and (code := process.poll()) is not None:
            raise CrunchbedError(f"the controller ended ({code}): {process.last_words()}")
        with contextlib.suppress(CrunchbedError):  # no socket yet, or not listening yet
            return bool(self.ask("status")["ready"])
        return False

    def wait_until_ready(self) -> None:
        """Return when every switch holds every flow; then says where the metrics are.

        Raises:
            CrunchbedError: The controller ended, or is not ready in time; with its last words.
        """
        log = self._places.out / "logs" / "controller.log"
        what = f"the controller has every flow in place; see {log}"
        try:
            wait_until(self.is_ready, READY_SECONDS, what, pump=signals.check)
        except CrunchbedError as error:
            raise CrunchbedError(f"{error}{self._words()}") from error
        if self._targets is not None:
            self._targets.serve(CONTROLLER, self.ask("status")["metrics_port"])

    def _words(self) -> str:
        """Return the last words of a controller that runs; the error has those of a dead one."""
        process = self._process
        words = "" if process is None or process.poll() is not None else process.last_words()
        return f": {words}" if words else ""

    def count_packets(self) -> None:
        """Have the controller write the packets that the switches counted into the history.

        A controller that has yet to take over is waited for, since it knows of no packets.
        """
        with contextlib.suppress(CrunchbedError):
            self.wait_until_ready()
            self.ask("packets")

    def stop(self) -> None:
        """End the controller."""
        if self._process is not None:
            self._process.terminate(5.0)
            self._process = None
