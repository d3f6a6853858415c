"""When a connection is probed, when it is given up, and how long I/O waits for a new one. Pure."""

from __future__ import annotations


class Keepalive:
    """open-iscsi's NOP-Outs: a silent connection is probed, and given up without an answer.

    As in the kernel's initiator (libiscsi.c, ``iscsi_check_transport_timeouts``), anything that
    arrives counts as an answer: a NOP-Out is sent only when nothing has arrived for the interval.

    Args:
        interval_ns: ``noop_out_interval``; 0: never probe.
        timeout_ns: ``noop_out_timeout``; 0: wait for ever.
        now_ns: When the connection came up.
    """

    def __init__(self, interval_ns: int, timeout_ns: int, now_ns: int) -> None:
        self._interval_ns = interval_ns
        self._timeout_ns = timeout_ns
        self._heard_ns = now_ns
        self._asked = False

    def heard(self, now_ns: int) -> None:
        """Something arrived."""
        self._heard_ns = now_ns
        self._asked = False

    def ask_now(self, now_ns: int) -> bool:
        """Return whether a NOP-Out is due; true once in each silence."""
        if self._asked or not self._interval_ns or now_ns - self._heard_ns < self._interval_ns:
            return False
        self._asked = True
        return True

    def dead(self, now_ns: int) -> bool:
        """Return whether the answer to a NOP-Out is overdue."""
        if not self._asked or not self._timeout_ns:
            return False
        return now_ns - self._heard_ns >= self._interval_ns + self._timeout_ns


class Requests:
    """NBD's ``timeout``: how long one request may go without its answer.

    0, the kernel's default, waits for ever.
    """

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._sent_ns: dict[int, int] = {}  # in the order of sending

    def sent(self, sequence: int, now_ns: int) -> None:
        """A request was handed to the connection."""
        self._sent_ns[sequence] = now_ns

    def answered(self, sequence: int) -> None:
        """The request's answer came."""
        self._sent_ns.pop(sequence, None)

    def overdue(self, now_ns: int) -> bool:
        """Return whether the oldest request has waited too long."""
        if not self._timeout_ns or not self._sent_ns:
            return False
        return now_ns - next(iter(self._sent_ns.values())) >= self._timeout_ns


class Outage:
    """How long I/O waits for a new connection until it fails; None waits for ever.

    iSCSI calls this time ``replacement_timeout``, NBD ``dead_conn_timeout``; 0 fails at once.
    """

    def __init__(self, limit_ns: int | None) -> None:
        self._limit_ns = limit_ns
        self._since_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """The connection is lost."""
        self._since_ns = now_ns

    def end(self) -> None:
        """There is a new connection."""
        self._since_ns = None

    def expired(self, now_ns: int) -> bool:
        """Return whether the outage has lasted too long; true once for each outage."""
        if self._since_ns is None or self._limit_ns is None:
            return False
        if now_ns - self._since_ns < self._limit_ns:
            return False
        self._since_ns = None
        return True
