"""What a run can ask of a node's attendant: JSON lines over the Unix socket ``socket``.

A question is ``{"op": NAME, FIELD: VALUE, ...}``, one reply comes for each, and what it has recorded
is on file by then. A refusal is ``{"error": WHY}``. ``reserve_agent.lines.LineClient`` asks so. Pages
are of 4 KiB, times are nanoseconds of the host's CLOCK_MONOTONIC. Names, fields and replies are
those of an agent (``reserve_agent/operations.py``) as far as both have an operation.

``status`` (at any time)
    -> ``ready`` (times that ``heartbeat`` and ``initiator`` became ready since the boot, by name),
    ``view``, ``serving`` (false), ``misses``, ``written``, ``exhausted`` (0), ``policy``,
    ``metrics_port``; ``pool``: ``pressure`` (0 or 1), ``demand`` (pages that a burst still wants),
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
``calm``
    Ends what is held, forgets all windows to come, has the task give up its pages, and ends swap.
    -> ``ok``
``forget_neighbours``
    Deletes the guest's neighbour entries of all peers and the target. -> ``ok``, ``forgotten``:
    how many were asked to be (the guest answers later)
``quiesce``
    For the end of a run: ends the writers, and the heartbeats; nothing is sent or written after
    it, and ``status`` goes on. ``writing`` says how many writes are still under way: ask again
    until it is 0, or until patience is at an end. -> ``ok``, ``writing``
``packets``
    Records the kernel's counters (``guest.counters``) and a sample. There is no count by class:
    no hook looks at the packets. -> ``ok``

There is no ``losses``, ``resize``, ``wake``, ``attach``, ``detach``, ``audit`` and ``sockets``.
SIGTERM ends the attendant: it closes its part of the history (``part.closed``), so it must come after
everything that is to be recorded.
"""

from __future__ import annotations
