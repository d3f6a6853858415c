"""Holding a cluster open: commands from other terminals, until one of them or a signal ends it.

The control phase lasts until the first thing is done to the cluster, and a heartbeat missed in it
makes the run invalid, as in any run; the inject phase lasts from then to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from crunchbed.run import signals
from crunchbed.run.held.crunches import Crunches
from crunchbed.run.held.links import Links, named
from crunchbed.run.start import Running
from crunchbed.run.world import STORAGE, Command, TakesCommands
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput, CrunchbedError


class Hold:
    """Takes commands for one cluster, which is healthy.

    Args:
        run: What goes on; its scenario is the one that the cluster was started for.

    Raises:
        BadInput: the cluster hears no other terminal.
    """

    def __init__(self, run: Running) -> None:
        if run.world.commands is None:
            raise BadInput("this backend takes no commands from other terminals")
        self._run = run
        self._terminals: TakesCommands = run.world.commands
        self._crunches = Crunches(run, self._touch)
        self._links = Links(run, self._touch)
        self._touched = False
        self._ending = False
        self._since_ns = run.loop.now_ns()
        self._operations: Mapping[str, Callable[[Command], Command]] = {
            "status": self._status,
            "crunch": self._crunch,
            "link": self._link,
            "policy": self._policy,
            "down": self._down,
        }

    def run(self) -> None:
        """Return when the cluster is to end, with all undone that was done to it.

        Raises:
            RunInvalid: A part of the testbed has died.
        """
        run = self._run
        run.supervisor.cut_off_since = self._links.cut_off_since
        self._terminals.serve(self._handle)
        self._run.begin_phase("control")
        run.progress.note(f"run {run.run_id} is up; `crunchbed down` or Ctrl-C ends it")
        signals.tell_next(self._interrupted)
        run.supervisor.wait_until(self._moved_to_its_end, math.inf)
        self._end()

    def _moved_to_its_end(self) -> bool:
        """Move on what was begun; returns whether somebody has asked for the end."""
        self._crunches.move_on()
        self._links.settled()
        return self._ending

    def _interrupted(self, name: str) -> None:
        """The first signal ends the cluster, if it is not ending; there is a summary."""
        self._ending = True
        self._run.progress.note(f"{name}: ending; once more to end without a summary")

    def _touch(self) -> None:
        """Something is about to be done to the cluster: the control phase is over."""
        if not self._touched:
            self._touched = True
            self._run.begin_phase("inject")

    def _end(self) -> None:
        """Undo what is still on, and watch until the consequences had the time to show."""
        self._ending = True
        if not self._touched:
            self._run.begin_phase("inject")  # a phase of no length
        self._crunches.end()
        self._links.end()
        self._run.await_aftermath(self._links.settled, harmed=self._touched)

    def _handle(self, command: Command) -> Command:
        """Answer a command; one that is wrong is ``refused``."""
        operation = self._operations.get(str(command.get("op")))
        if operation is None:
            return {"refused": f"unknown operation {command.get('op')!r}"}
        try:
            return operation(command)
        except BadInput as error:
            return {"refused": str(error)}
        except CrunchbedError as error:
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            return {"refused": f"{command['op']}: {error!r}"}

    def _status(self, _command: Command) -> Command:
        """Answer with what only the run knows; the agents tell the rest."""
        nodes = {
            name: {
                "up": node.up,
                "boots": node.incarnation,
                "link": self._links.state(name),
                "crunch": self._crunches.of(name),
            }
            for name, node in self._run.world.nodes.items()
        }
        return {
            "phase": self._phase,
            "seconds": (self._run.loop.now_ns() - self._since_ns) / 1e9,
            "switch": self._run.world.info["switch"],
            "nodes": nodes,
            "storage": {"link": self._links.state(STORAGE), **self._terminals.storage_place()},
        }

    @property
    def _phase(self) -> str:
        if self._ending:
            return "ending"
        return "inject" if self._touched else "control"

    def _known(self, command: Command, names: Collection[str]) -> str:
        if self._ending:
            raise BadInput("the run is ending")
        target = str(command["target"])
        if target not in names:
            raise BadInput(f"no node {target!r}; known: {', '.join(names)}")
        return target

    def _crunch(self, command: Command) -> Command:
        target = self._known(command, self._run.world.nodes)
        settings = dict(command["crunch"])
        requested = self._crunches.begin(target, settings)
        self._run.progress.note(f"{settings['kind']} crunch of {target}")
        return {"requested": requested}

    def _link(self, command: Command) -> Command:
        target = self._known(command, self._run.world.network.hosts)
        network = command.get("network")
        if command["up"]:
            self._links.bring_up(target, network)
        else:
            self._links.take_down(target, network)
        word = "up" if command["up"] else "down"
        self._run.progress.note(f"the link of {named((target, network))} is set {word}")
        return {"ok": True}

    def _policy(self, command: Command) -> Command:
        target = self._known(command, self._run.world.nodes)
        policy = command["policy"]
        if policy not in POLICIES:
            raise BadInput(f"unknown policy {policy!r}; known: {', '.join(POLICIES)}")
        self._touch()
        self._run.world.nodes[target].set_policy(policy)
        self._run.progress.note(f"{target} follows {policy}")
        return {"ok": True}

    def _down(self, _command: Command) -> Command:
        if self._ending:
            raise BadInput("the run is ending")
        self._run.progress.note("asked to end")
        self._ending = True
        return {"directory": str(self._run.out)}
