"""Looks at the processes of a run from outside, to see which of them stand still, and when.

A process that is stopped cannot tell, and nbdkit, tgtd and corosync know nothing of us. So a thread
of the run looks at all of them again and again, also while the run's own loop waits for something.
Where the thread itself wakes late, the whole run stood still, and with it the fence.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from crunchbed.backends.common.stillness import Key, Seen, Stillness, Stood
from nodes.cgroup import pids_in
from nodes.process import Process, Stat, stat_of, waited_ns
from reserve_agent.contract.events.base import RUN
from reserve_agent.contract.events.run import PartLate
from reserve_agent.errors import RunInvalid

LOOK_NS: Final = 50_000_000
_LEAST_REST: Final = 20
"""A look at 130 processes takes 5 ms: it comes every 100 ms then, so that it costs no more."""
_WAITS_EVERY: Final = 2
"""Looks at which the waits for a processor are read once: that takes longer than the rest."""


class _Part(NamedTuple):
    node: str
    part: str
    program: str | None = None


class PartWatch:
    """The watch of one run.

    Args:
        cgroup: The directory of the run's cgroups, one for each node and more.

    Attributes:
        looks: How often it has looked.
    """

    def __init__(self, cgroup: Path) -> None:
        self._cgroup = cgroup
        self._known: dict[int, tuple[int | None, _Part]] = {}
        self._names: dict[Key, _Part] = {}
        self._stillness = Stillness()
        self.looks = 0
        self._noticed: queue.SimpleQueue[PartLate] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="part watch", daemon=True)

    def add(self, process: Process) -> None:
        """Know a process by its name, such as ``n1 heartbeat``; what it starts belongs to it."""
        node, _, part = process.name.partition(" ")
        self._known[process.pid] = process.start_ticks, _Part(node, part or node)

    def begin(self) -> None:
        """Look from now on."""
        self._thread.start()

    def end(self) -> None:
        """Look no more; harmless when it is called again, or before ``begin``."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
            self._notice(self._stillness.end())

    def events(self) -> Iterator[PartLate]:
        """Yield what was noticed since the last call.

        Raises:
            RunInvalid: The watch has failed, so that nobody would see what stands still.
        """
        while not self._noticed.empty():
            yield self._noticed.get()
        if self._failure is not None:
            raise RunInvalid(f"the watch over the run's processes failed: {self._failure!r}")

    def _run(self) -> None:
        # Signals are for the thread that runs the loop, which they wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            due = time.monotonic_ns()
            while not self._ended.wait(max(0, due - time.monotonic_ns()) / 1e9):
                now = time.monotonic_ns()
                if now - due > LOOK_NS:
                    self._tell(_Part(RUN, RUN), due, now, "woke_late")
                spent = time.thread_time_ns()
                self.look(now)
                spent = time.thread_time_ns() - spent
                due = now + max(LOOK_NS, _LEAST_REST * spent)
        except Exception as error:  # whoever asks for events is told
            self._failure = error

    def look(self, now_ns: int) -> None:
        """Look once at every process, also at one that has yet to join its cgroup."""
        pids = {pid for place in self._cgroup.glob("*/") for pid in pids_in(place)}
        pids.update(list(self._known))  # copied at once: the run adds to it
        stats = {pid: stat for pid in pids if (stat := stat_of(pid)) is not None}
        waits = self.looks % _WAITS_EVERY == 0
        self.looks += 1
        seen = {}
        for pid, stat in stats.items():
            if (part := self._part_of(pid, stats)) is not None:
                key = pid, stat.start_ticks
                self._names[key] = part
                seen[key] = Seen(stat.state in "Tt", waited_ns(pid) if waits else None)
        self._notice(self._stillness.look(now_ns, seen))

    def _part_of(self, pid: int, stats: Mapping[int, Stat]) -> _Part | None:
        """Return the part that a process is, or was started by; None: a shell of somebody's."""
        above = pid
        while above in stats:
            start, part = self._known.get(above, (None, None))
            if part is not None and start == stats[above].start_ticks:
                return part if above == pid else part._replace(program=stats[pid].program)
            above = stats[above].parent
        return None

    def _notice(self, found: list[Stood]) -> None:
        for one in found:
            self._tell(self._names[one.process], one.since_ns, one.until_ns, one.why)

    def _tell(self, part: _Part, since_ns: int, until_ns: int, why: str) -> None:
        length = until_ns - since_ns
        event = PartLate(t=until_ns, since=since_ns, late_ns=length, why=why, **part._asdict())
        self._noticed.put(event)
