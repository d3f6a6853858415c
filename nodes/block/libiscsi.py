"""The few calls of libiscsi that an initiator needs, typed.

libiscsi is an initiator in user space, so its connections are sockets of the calling process, in
that process's network namespace and cgroup. The kernel's initiator ignores both.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char, c_char_p, c_int, c_uint32, c_void_p
from functools import lru_cache
from typing import Any, Final

from reserve_agent.errors import CrunchbedError, MissingRequirement

LIBRARY: Final = "libiscsi.so.7"
GOOD: Final = 0
CANCELLED: Final = 0x0F000000
POLLIN, POLLOUT = 1, 4
_SESSION_NORMAL: Final = 2
_DIGEST_NONE: Final = 0

_Callback = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_void_p, c_void_p)
Completed = Callable[[int, int], None]
"""Is given the status of a command and the command's number."""

_PROTOTYPES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "iscsi_create_context": (c_void_p, [c_char_p]),
    "iscsi_destroy_context": (c_int, [c_void_p]),
    "iscsi_get_error": (c_char_p, [c_void_p]),
    "iscsi_get_fd": (c_int, [c_void_p]),
    "iscsi_which_events": (c_int, [c_void_p]),
    "iscsi_service": (c_int, [c_void_p, c_int]),
    "iscsi_set_targetname": (c_int, [c_void_p, c_char_p]),
    "iscsi_set_session_type": (c_int, [c_void_p, c_int]),
    "iscsi_set_header_digest": (c_int, [c_void_p, c_int]),
    "iscsi_set_initiator_username_pwd": (c_int, [c_void_p, c_char_p, c_char_p]),
    "iscsi_set_isid_random": (c_int, [c_void_p, c_uint32, c_uint32]),
    "iscsi_set_noautoreconnect": (None, [c_void_p, c_int]),
    "iscsi_full_connect_async": (c_int, [c_void_p, c_char_p, c_int, _Callback, c_void_p]),
    "iscsi_nop_out_async": (c_int, [c_void_p, c_void_p, c_char_p, c_int, c_void_p]),
    "iscsi_write10_task": (
        c_void_p,
        [c_void_p, c_int, c_uint32, POINTER(c_char), c_uint32, *[c_int] * 6, _Callback, c_void_p],
    ),
    "scsi_free_scsi_task": (None, [c_void_p]),
}


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Return the loaded library; raises MissingRequirement where it is not installed."""
    try:
        loaded = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise MissingRequirement(f"this machine lacks {LIBRARY} (make setup)") from error
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


class Session:
    """One libiscsi context: one connection to one logical unit; libiscsi never reconnects it.

    Args:
        initiator: The initiator's iSCSI name; ``target`` is the target's.
        isid: Names the session: a login with the same isid ends what is left of the session before
            (RFC 7143, 6.3.5, session reinstatement).
        chap: User and secret, or None.
        completed: Told of every write.
        connected: Told the status of the login, and again when the connection fails later.
    """

    def __init__(
        self,
        initiator: str,
        target: str,
        isid: int,
        chap: tuple[str, str] | None,
        completed: Completed,
        connected: Callable[[int], None],
    ) -> None:
        self._library = library()
        context = self._library.iscsi_create_context(initiator.encode())
        if not context:
            raise CrunchbedError("libiscsi: no memory for a context")
        self._context: int | None = context
        self._completed = completed
        self._connected = connected
        self._buffers: dict[int, Any] = {}
        # The library keeps pointers to these callbacks: they must live as long as the session.
        self._on_connect = _Callback(self._connect_done)
        self._on_write = _Callback(self._write_done)
        self._library.iscsi_set_targetname(context, target.encode())
        self._library.iscsi_set_session_type(context, _SESSION_NORMAL)
        self._library.iscsi_set_header_digest(context, _DIGEST_NONE)
        self._library.iscsi_set_isid_random(context, isid, 0)
        self._library.iscsi_set_noautoreconnect(context, 1)
        if chap is not None:
            user, secret = (text.encode() for text in chap)
            self._library.iscsi_set_initiator_username_pwd(context, user, secret)

    def connect(self, portal: str, lun: int) -> int:
        """Begin to connect and log in, or raise CrunchbedError; returns the socket's descriptor."""
        begun = self._library.iscsi_full_connect_async(
            self._context, portal.encode(), lun, self._on_connect, None
        )
        if begun != 0:
            raise CrunchbedError(self.error)
        return int(self._library.iscsi_get_fd(self._context))

    @property
    def error(self) -> str:
        """The last error, on one line."""
        text = self._library.iscsi_get_error(self._context) or b""
        return " ".join(text.decode(errors="replace").split())

    @property
    def events(self) -> int:
        """What the connection waits for: POLLIN and POLLOUT."""
        return int(self._library.iscsi_which_events(self._context))

    def service(self, events: int) -> bool:
        """Read and write what is possible; return whether the connection is still alive."""
        return bool(self._library.iscsi_service(self._context, events) == 0)

    def write(self, number: int, lun: int, block: int, data: bytearray, block_bytes: int) -> None:
        """Submit a WRITE(10) without FUA; ``completed`` gets ``number``. Raises CrunchbedError."""
        buffer = (c_char * len(data)).from_buffer(data)
        self._buffers[number] = buffer
        protect = dpo = fua = fua_nv = group = 0
        task = self._library.iscsi_write10_task(
            *(self._context, lun, block, buffer, len(data), block_bytes),
            *(protect, dpo, fua, fua_nv, group, self._on_write, number),
        )
        if not task:
            del self._buffers[number]
            raise CrunchbedError(self.error)

    def ask(self) -> None:
        """Send a NOP-Out that wants an answer."""
        self._library.iscsi_nop_out_async(self._context, None, None, 0, None)

    def close(self) -> None:
        """Hang up; ``completed`` is not called for writes in flight."""
        context, self._context = self._context, None
        self._library.iscsi_destroy_context(context)
        self._buffers.clear()

    def _connect_done(self, _context: int, status: int, _data: int, _private: int) -> None:
        if self._context is not None:
            self._connected(status)

    def _write_done(self, _context: int, status: int, task: int, private: int | None) -> None:
        number = private or 0  # ctypes has None for a null pointer
        self._library.scsi_free_scsi_task(task)
        if self._context is not None:
            self._buffers.pop(number, None)
            self._completed(number, status)
