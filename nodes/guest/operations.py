"""What a run can ask of a node's attendant: JSON lines over the Unix socket ``socket``.

A question is ``{"op": NAME, FIELD: VALUE, ...}``. One reply comes for each, and what it has
recorded is on file by then; a refusal is ``{"error": WHY}``. ``reserve_agent.lines.LineClient``
asks so.
Pages are of 4 KiB, times are nanoseconds of the host's CLOCK_MONOTONIC. Names, fields and replies
are those of an agent (``reserve_agent/operations.py``) as far as both have an operation.

``status`` (at any time)
    -> ``ready`` (times that ``heartbeat`` and ``initiator`` became ready since the boot, by name),
    ``view``, ``serving`` (false), ``misses``, ``written``, ``exhausted`` (0), ``policy``,
    ``metrics_port``; ``pool``: ``pressure`` (0 or 1),
    ``pressure_episodes``, ``pressure_ns``, ``demand`` (pages that a burst still wants),
    ``free``, ``reserve`` (min of the largest zone), ``total``, ``dirty``, ``low_water``,
    ``hoarded``; ``guest``: ``state`` (``off``, ``booting``, ``ready``, ``failed``), ``failure``
    (one line where the agent failed, a command of the set-up was refused, or the kernel panicked;
    else null: the run is invalid with it), ``kernel`` (release, "" until the guest is up).
``event`` with ``event`` (an event as a JSON object)
    Records what the run knows of this node, as an agent does. -> ``ok``
``boot`` with ``incarnation`` (from 0)
    To be asked BEFORE QEMU starts, and after the QEMU before has ended: clears the shared memory.
    The attendant then waits for the guest, sets it up, and starts heartbeats and writes; ``ready``
    in ``status`` says when. -> ``ok``
``reset``
    To be asked AFTER QEMU has ended (fence, crash): takes in what the guest has said last, and
    records ``node.reset``. Until the next ``boot`` the node is ``off``. -> ``ok``
``policy`` with ``policy`` (``none`` or ``memalloc``)
    Flags or unflags the sockets of the classes in the configuration, and records ``pool.config``;
    it holds from the guest's next turn, about a millisecond later. -> ``ok``
``windows`` with ``windows`` ([[start, end, level], ...], in order; level in free pages)
    Holds the level in each window for exactly ``end - start``, from about ``start`` on; each has
    an event ``guest.window`` in the end, and ``pressure.begin`` and ``pressure.end`` with the
    module's own times. What has not begun when the guest loses its power never does. -> ``ok``
``burst`` with ``pages``, ``rate``, ``start_ns``
    A writeback crunch (see ``GuestBurst``): from ``start_ns`` on the kernel must free ``pages``
    more. ``rate`` is not used: a kernel frees pages as fast as it can. ``dirty.progress`` says how
    many it has freed; ``pool.demand`` of ``status`` how many are still wanted. -> ``ok``
``reader`` with ``port``, ``memalloc``
    Opens a UDP socket that is never read and holds all that is sent to it, until ``wake``; with
    ``memalloc`` it is flagged too, where the policy is ``memalloc``. While it is there nobody is
    killed for want of memory. Its pages are ``hoarded``. -> ``ok``
``wake``
    Closes that socket, with all that it holds. -> ``ok``
``resize`` with ``reserve`` (pages)
    Sets min_free_kbytes, until the next boot; ``pool.config`` says what min is then. -> ``ok``
``calm``
    Ends what is held, forgets all windows to come, has the task give up its pages, ends swap,
    and closes the socket of ``reader``.
    -> ``ok``
``forget_neighbours``
    Deletes the guest's neighbour entries of all peers and the target. -> ``ok``, ``forgotten``:
    how many were asked to be (the guest answers later)
``quiesce``
    For the end of a run: ends the writers, and the heartbeats; nothing is sent or written after
    it, and ``status`` goes on. ``writing`` is the number of writes that are still under way: ask
    again until it is 0, or until patience is at an end. -> ``ok``, ``writing``
``packets``
    Records the kernel's counters (``guest.counters``) and a sample. There is no count by class,
    since no hook looks at the packets. -> ``ok``

Packets that a fault loses are recorded as they come (``nodes/guest/lost.py``).
There is no ``losses``, ``attach``, ``detach``, ``audit`` and ``sockets``.
SIGTERM ends the attendant: it closes its part of the history (``part.closed``), so it must come
after everything that is to be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from nodes.guest.config import known_policy
from nodes.guest.life import GuestLife
from nodes.guest.pressure import GuestPool
from reserve_agent.answers import answer
from reserve_agent.contract.events.faults import NodeReset
from reserve_agent.errors import BadInput
from reserve_agent.lines.framing import Message
from reserve_agent.record import NodeHistory

_OK: Final[Message] = {"ok": True}
_OFF: Final = {"state": "off", "failure": None, "kernel": ""}


class Machine(Protocol):
    """The guest that an attendant is beside; see ``Attendant``."""

    policy: str
    metrics_port: int

    @property
    def life(self) -> GuestLife | None:
        """The guest that has power; None: it has none."""

    @property
    def pool(self) -> GuestPool:
        """Its memory, or what it was when the power was lost."""

    def boot(self, incarnation: int) -> None:
        """Clear the shared memory, and begin another life."""

    def end(self) -> None:
        """End the life, if there is one."""

    def sample(self, *, at_once: bool = False) -> None:
        """Record a sample of the pool."""


@dataclass(frozen=True)
class Operations:
    """The operations of one attendant; the text above says what each does."""

    machine: Machine
    history: NodeHistory

    def answer(self, message: Message) -> Message:
        """Carry out one operation; what it has recorded is on file when this returns."""
        reply = answer(_OPERATIONS, self, message)
        self.history.flush()
        return reply

    def _guest(self) -> GuestLife:
        """Return the guest.

        Raises:
            BadInput: It is not ready.
        """
        life = self.machine.life
        if life is None or life.state != "ready":
            raise BadInput("the guest is not ready")
        return life

    def _status(self) -> Message:
        machine = self.machine
        life = machine.life
        guest = _OFF
        if life is not None:
            guest = {"state": life.state, "failure": life.failure, "kernel": life.kernel}
        return {
            **self.history.summary.told(),
            "policy": machine.policy,
            "metrics_port": machine.metrics_port,
            "pool": asdict(machine.pool),
            "guest": guest,
        }

    def _event(self, event: Message) -> Message:
        self.history.report(dict(event))
        return _OK

    def _boot(self, incarnation: int) -> Message:
        if self.machine.life is not None:
            raise BadInput("boot: the last life has not ended")
        self.machine.boot(int(incarnation))
        return _OK

    def _reset(self) -> Message:
        self.machine.end()
        self.history.record(NodeReset())
        return _OK

    def _policy(self, policy: str) -> Message:
        self.machine.policy = known_policy(policy)
        if self.machine.life is not None:
            self.machine.life.set_policy(policy)
        return _OK

    def _windows(self, windows: Sequence[Sequence[int]]) -> Message:
        asked = [(int(start), int(end), int(level)) for start, end, level in windows]
        if any(end <= start or level < 0 for start, end, level in asked):
            raise BadInput("windows: expected [start, end, level] with start before end")
        self._guest().memory.hold(asked)
        return _OK

    def _burst(self, pages: int, rate: int, start_ns: int) -> Message:  # noqa: ARG002
        self._guest().memory.burst(int(pages), int(start_ns))
        return _OK

    def _reader(self, port: int, memalloc: bool) -> Message:
        self._guest().open_reader(int(port), memalloc=bool(memalloc))
        return _OK

    def _wake(self) -> Message:
        self._guest().memory.wake()
        return _OK

    def _resize(self, reserve: int) -> Message:
        self._guest().resize(int(reserve))
        return _OK

    def _calm(self) -> Message:
        self._guest().memory.calm()
        return _OK

    def _forget_neighbours(self) -> Message:
        return {**_OK, "forgotten": self._guest().forget_neighbours()}

    def _quiesce(self) -> Message:
        life = self.machine.life
        return {**_OK, "writing": 0 if life is None else life.quiesce()}

    def _packets(self) -> Message:
        self.machine.sample(at_once=True)
        return _OK


_OPERATIONS: Final[Mapping[str, Callable[..., Message]]] = {
    "status": Operations._status,
    "event": Operations._event,
    "boot": Operations._boot,
    "reset": Operations._reset,
    "policy": Operations._policy,
    "windows": Operations._windows,
    "burst": Operations._burst,
    "reader": Operations._reader,
    "wake": Operations._wake,
    "resize": Operations._resize,
    "calm": Operations._calm,
    "forget_neighbours": Operations._forget_neighbours,
    "quiesce": Operations._quiesce,
    "packets": Operations._packets,
}
"""Every operation by its name on the wire."""
