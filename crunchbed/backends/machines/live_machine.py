"""A node of a running cluster that is a virtual machine: QEMU, and its attendant on the host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from crunchbed.backends.common.live_agent import LiveAgent, node_status
from crunchbed.backends.common.live_run import PANIC, LiveRun, ended_by_itself
from crunchbed.backends.common.ports import SwitchPort
from crunchbed.backends.machines import configs, qemu
from crunchbed.run.world import Clock, NodeStatus
from crunchbed.scenario.sizing import reserve_pages
from nodes.cgroup import NodeCgroup
from nodes.process import Process
from reserve_agent.contract.events.base import Event
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.lines.framing import Message
from topologies.node import ClusterNode

DAEMONS: Final = ("heartbeat", "initiator")
"""What a machine's agent does is called as the daemons of a namespace are."""
_ASKED_EVERY_NS: Final = 100_000_000


class LiveMachine:
    """Implements ``crunchbed.run.world.Node``.

    The attendant lives as long as the cluster. QEMU lives as long as the node has power: its end by
    SIGKILL is the power switch.

    Args:
        run: The run.
        hosts: Every host of the network by name.
        port: The node's switch port.
        machine: What QEMU is told.
        clock: The run's.
    """

    serves = False
    daemon_names = DAEMONS

    def __init__(
        self,
        run: LiveRun,
        hosts: Mapping[str, ClusterNode],
        port: SwitchPort,
        machine: qemu.Machine,
        clock: Clock,
    ) -> None:
        self.host = port.host
        self.name = self.host.name
        self.up = False
        self.incarnation = 0
        self.cgroup = NodeCgroup(run.run_id, self.name)
        self.attendant = LiveAgent(self.name, run, "attendant")
        self._run = run
        self._hosts = hosts
        self._port = port
        self._machine = machine
        self._clock = clock
        self._qemu: Process | None = None
        self._quiet = False
        self._asked_ns = 0
        self._reserve = reserve_pages(run.scenario)

    @property
    def has_guest(self) -> bool:
        """Whether its QEMU was started, and not ended by the run."""
        return self._qemu is not None

    def start_attendant(self, cgroup: NodeCgroup) -> None:
        """Start the attendant; ``attendant.wait`` says when it answers.

        Args:
            cgroup: For the attendant, which is no part of its node.
        """
        self.cgroup.create()
        config = configs.attendant(self._run, self._hosts, self.name)
        self.attendant.begin(configs.record(config), cgroup.path)

    def power_on(self) -> None:
        """Switch port up, and boot; ``status`` says when the daemons are ready."""
        self._port.power(True)
        self._reserve = reserve_pages(self._run.scenario)
        self.attendant.ask("boot", incarnation=self.incarnation)
        self._qemu = self._run.spawn(
            f"{self.name} machine",
            qemu.argv(self._machine),
            netns_pid=self.host.pid,
            cgroup=self.cgroup.path,
        )
        self.up = True

    def power_off(self) -> None:
        """Cut the node off for certain: its port first, then QEMU."""
        self._port.power(False)
        self._end_qemu()
        self.up = False
        self.incarnation += 1
        self.attendant.ask("reset")

    def _end_qemu(self) -> None:
        running, self._qemu = self._qemu, None
        if running is not None:
            running.kill()

    def status(self) -> NodeStatus:
        """Ask the attendant how the node is, which takes about a millisecond."""
        return node_status(self._ask_status(), up=self.up)

    def _ask_status(self) -> dict[str, Any]:
        """Return the attendant's answer.

        Raises:
            RunInvalid: The guest has failed.
        """
        self._asked_ns = self._clock.now_ns()
        told = self.attendant.ask("status")
        if (failure := told["guest"]["failure"]) is not None:
            why = ": ".join(filter(None, (failure, self._panic())))
            raise RunInvalid(f"the machine {self.name} failed: {why}")
        return told

    def kernel(self) -> str:
        """Return the release of the guest's kernel; empty until the guest is up."""
        return str(self._ask_status()["guest"]["kernel"])

    def note(self, event: Event) -> None:
        """Have the attendant record what the run knows of the node."""
        self.attendant.ask("event", event=event.record())

    def begin_burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Have the guest's kernel swap pages out until so many are free.

        Raises:
            RunInvalid: The guest does not take it.
        """
        self._tell("burst", pages=pages, rate=rate, start_ns=start_ns)

    def calm(self) -> None:
        """Have the guest's task give up its pages, and end swap and windows."""
        self._tell("calm")

    def _tell(self, op: str, **fields: Any) -> Message:
        try:
            return self.attendant.ask(op, **fields)
        except RunInvalid:
            raise
        except CrunchbedError as error:
            raise RunInvalid(f"{self.name} does not take {op}: {error}") from error

    def begin_windows(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Have the guest's module hold a level in each window.

        The largest zone of a kernel has the largest part of the reserve, but not all of it. The
        level is the same share of that part.
        """
        part = int(self._ask_status()["pool"]["reserve"])
        held = [[start, end, round(level * part / self._reserve)] for start, end, level in windows]
        self._tell("windows", windows=held)

    def open_reader(self, port: int, *, memalloc: bool) -> None:
        """Have the guest's agent open a socket that it does not read."""
        self._tell("reader", port=port, memalloc=memalloc)

    def wake(self) -> None:
        """Have the agent close that socket, with all packets that wait there."""
        self._tell("wake")

    def resize(self, reserve: int) -> int:
        """Give the guest's kernel another reserve, in pages, until its next boot.

        Returns:
            The reserve before.
        """
        self.attendant.ask("resize", reserve=reserve)
        was, self._reserve = self._reserve, reserve
        return was

    def set_policy(self, policy: str) -> None:
        """Flag the sockets of the scenario's classes, or none."""
        self.attendant.ask("policy", policy=policy)

    def pause(self, daemons: Collection[str]) -> None:
        """Refuse: the daemons are threads of the guest's agent."""
        raise CrunchbedError(f"{self.name}: {', '.join(daemons)} of a machine cannot be paused")

    def resume(self, daemons: Collection[str]) -> None:
        """Do nothing: no daemon is paused."""

    def forget_neighbours(self) -> int:
        """Have the guest forget all hardware addresses. Returns how many."""
        return int(self.attendant.ask("forget_neighbours")["forgotten"])

    def count_reserve_users(self) -> None:
        """Do nothing: a kernel does not count what each of its sockets takes from the reserve."""

    def count_packets(self) -> None:
        """Have the attendant write the kernel's counters down."""
        self.attendant.ask("packets")

    def watchdog_due(self) -> bool:
        """Return False: a machine has no service daemon."""
        return False

    def check(self) -> None:
        """Look whether QEMU, the guest and the attendant live.

        Raises:
            RunInvalid: One of them does not; with its last words.
        """
        attendant, running = self.attendant.process, self._qemu
        if attendant is not None and attendant.poll() is not None:
            raise ended_by_itself(attendant)
        if self._quiet:
            return
        ended = running is not None and running.poll() is not None
        if ended or self._clock.now_ns() - self._asked_ns > _ASKED_EVERY_NS:
            self._ask_status()
        if ended and running is not None:
            words = self._panic() or running.last_words() or self._last_of_console()
            words = words or f"no word in {running.log}"
            raise RunInvalid(f"{running.name} ended by itself ({running.poll()}): {words}")

    def _panic(self) -> str:
        """Return why the guest's kernel has panicked, in its own words; empty if it has not."""
        return self._last_of_console(PANIC)

    def _last_of_console(self, words: str = "") -> str:
        with suppress(OSError):
            lines = self._machine.console.read_text(errors="replace").splitlines()
            said = (line.strip() for line in reversed(lines) if words in line)
            return next(filter(None, said), "")
        return ""

    def ask_to_quiesce(self) -> bool:
        """Have the guest end its heartbeats and writes; returns whether no write is under way.

        Raises:
            RunInvalid: The attendant does not take it.
        """
        return int(self._tell("quiesce")["writing"]) == 0

    def end(self) -> None:
        """Take the guest's power away for good; what the attendant knows can still be asked."""
        self._quiet = True
        self._end_qemu()

    def stop(self) -> None:
        """End QEMU and the attendant, and remove the cgroup."""
        self.end()
        self.attendant.stop()
        if self.cgroup.path.exists():
            self.cgroup.remove()
