"""Holding a cluster open: commands from other terminals, until one of them or a signal ends it.

The control phase lasts until the first thing is done to the cluster, and a heartbeat missed in it
makes the run invalid, as in any run; the inject phase lasts from then to the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final

from crunchbed.backends.namespaces.cluster import RunningCluster
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.history.recorder import Recorder
from crunchbed.run import signals
from crunchbed.run.held.crunches import Crunches
from crunchbed.run.held.links import Links
from crunchbed.run.progress import Progress
from crunchbed.scenario.schema import Scenario
from nodes.cgroup import NodeCgroup
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.lines import LineServer, Message

SOCKET: Final = "run"
"""In the run's state directory: where commands are taken; only root may connect."""

_SETTLED_SECONDS = 5.0
_AFTERMATH_DEADLINES = 2.0


class Hold:
    """Takes commands for one cluster.

    Args:
        scenario: what the cluster was started for.
        cluster: it, healthy.
        places: where the run keeps things.
        recorder: the run's part of the history.
        progress: who watches.
    """

    def __init__(
        self,
        scenario: Scenario,
        cluster: RunningCluster,
        places: Places,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        self._scenario = scenario
        self._cluster = cluster
        self._places = places
        self._recorder = recorder
        self._progress = progress
        self._crunches = Crunches(scenario, cluster, recorder, self._touch)
        self._links = Links(cluster.world(), recorder, self._touch)
        self._touched = False
        self._ending = False
        self._since = time.monotonic()
        self._operations: Mapping[str, Callable[[Message], Message]] = {
            "status": self._status,
            "crunch": self._crunch,
            "link": self._link,
            "policy": self._policy,
            "down": self._down,
        }

    def run(self) -> None:
        """Return when the cluster is to end, with all undone that was done to it.

        Raises:
            RunInvalid: a part of the testbed has died.
        """
        supervisor = self._cluster.supervisor
        supervisor.cut_off_since = self._links.cut_off_since
        server = supervisor.serve(
            lambda selector: LineServer(self._places.state / SOCKET, selector, self._handle)
        )
        self._cluster.at_end(server.close)  # who asks for the state gets it to the end
        self._begin("control")
        self._progress.note(f"run {self._places.run_id} is up; `crunchbed down` or Ctrl-C ends it")
        signals.tell_next(self._interrupted)
        while not self._ending:
            supervisor.pump()
            self._crunches.move_on()
            self._links.settled()
        self._end()

    def _interrupted(self, name: str) -> None:
        """The first signal: it ends the cluster, or finds it ending, and there is a summary."""
        self._ending = True
        self._progress.note(f"{name}: ending; once more to end without a summary")

    def _begin(self, phase: str) -> None:
        self._recorder.record("phase", name=phase)
        self._progress.phase(phase, None)

    def _touch(self) -> None:
        """Something is done to the cluster: from here on its figures are not those of peace."""
        if not self._touched:
            self._touched = True
            self._begin("inject")

    def _end(self) -> None:
        """Undo what is still on, and watch until its consequences had the time to show."""
        self._ending = True
        if not self._touched:
            self._begin("inject")  # a phase of no length
        self._crunches.end()
        self._links.end()
        supervisor = self._cluster.supervisor
        supervisor.wait_until(self._links.settled, _SETTLED_SECONDS)
        if self._touched:
            supervisor.wait(_AFTERMATH_DEADLINES * self._scenario.removal_ns / 1e9)

    def _handle(self, message: Message) -> Message:
        """Answer a command; what the asker got wrong is ``refused``."""
        operation = self._operations.get(str(message.get("op")))
        if operation is None:
            return {"refused": f"unknown operation {message.get('op')!r}"}
        try:
            return operation(message)
        except BadInput as error:
            return {"refused": str(error)}
        except CrunchbedError as error:
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            return {"refused": f"{message['op']}: {error!r}"}

    def _status(self, _message: Message) -> Message:
        """What nobody but the run knows; the agents tell the rest."""
        nodes = {
            name: {
                "up": node.up,
                "boots": node.incarnation,
                "link": self._links.state(name),
                "crunch": self._crunches.of(name),
            }
            for name, node in self._cluster.nodes.items()
        }
        storage = self._cluster.storage
        return {
            "phase": self._phase,
            "seconds": time.monotonic() - self._since,
            "switch": self._cluster.switch,
            "nodes": nodes,
            "storage": {
                "link": self._links.state(storage.name),
                "pid": storage.pid,
                "cgroup": str(NodeCgroup(self._places.run_id, storage.name).path),
            },
        }

    @property
    def _phase(self) -> str:
        if self._ending:
            return "ending"
        return "inject" if self._touched else "control"

    def _known(self, message: Message, names: Collection[str]) -> str:
        if self._ending:
            raise BadInput("the run is ending")
        target = str(message["target"])
        if target not in names:
            raise BadInput(f"no node {target!r}; known: {', '.join(names)}")
        return target

    def _crunch(self, message: Message) -> Message:
        target = self._known(message, self._cluster.nodes)
        settings = dict(message["crunch"])
        requested = self._crunches.begin(target, settings)
        self._progress.note(f"{settings['kind']} crunch of {target}")
        return {"requested": requested}

    def _link(self, message: Message) -> Message:
        target = self._known(message, self._links.hosts)
        network = message.get("network")
        if message["up"]:
            self._links.bring_up(target, network)
        else:
            self._links.take_down(target, network)
        where = "" if network is None else f" to {network}"
        word = "up" if message["up"] else "down"
        self._progress.note(f"the link of {target}{where} is set {word}")
        return {"ok": True}

    def _policy(self, message: Message) -> Message:
        target = self._known(message, self._cluster.nodes)
        policy = message["policy"]
        if policy not in POLICIES:
            raise BadInput(f"unknown policy {policy!r}; known: {', '.join(POLICIES)}")
        self._touch()
        self._cluster.nodes[target].ask("policy", policy=policy)
        self._progress.note(f"{target} follows {policy}")
        return {"ok": True}

    def _down(self, _message: Message) -> Message:
        if self._ending:
            raise BadInput("the run is ending")
        self._progress.note("asked to end")
        self._ending = True
        return {"directory": str(self._places.out)}
