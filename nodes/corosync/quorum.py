"""libquorum: the members of the ring, and whether they have quorum, whenever that changes.

The types are those of <corosync/quorum.h>. Version 1 of its model is used, which says which nodes
left: a node may leave and be back within one change.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable
from typing import Any

from reserve_agent.errors import CrunchbedError, MissingRequirement

LIBRARY = "libquorum.so.5"
PACKAGES = ("corosync", "libquorum5")

_MODEL_V1 = 1
_TRACK_CURRENT, _TRACK_CHANGES = 0x01, 0x02
_DISPATCH_ALL = 2
_OK, _TRY_AGAIN = 1, 6

_Ids = c.POINTER(c.c_uint32)


class _RingId(c.Structure):
    _fields_ = (("nodeid", c.c_uint32), ("seq", c.c_uint64))


_OnQuorum = c.CFUNCTYPE(None, c.c_uint64, c.c_uint32, _RingId, c.c_uint32, _Ids)
_OnNodes = c.CFUNCTYPE(
    None, c.c_uint64, _RingId, c.c_uint32, _Ids, c.c_uint32, _Ids, c.c_uint32, _Ids
)


class _Model(c.Structure):
    _fields_ = (("model", c.c_int), ("on_quorum", _OnQuorum), ("on_nodes", _OnNodes))


def load_library() -> c.CDLL:
    """Return the library, with the types of the functions that are used.

    Raises:
        MissingRequirement: It is not installed.
    """
    try:
        library = c.CDLL(LIBRARY)
    except OSError as error:
        command = f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        raise MissingRequirement(f"{error}: {command}") from error
    pointers: Any = c.POINTER
    signatures = {
        "quorum_model_initialize": (
            *(pointers(c.c_uint64), c.c_int, pointers(_Model)),
            *(pointers(c.c_uint32), c.c_void_p),
        ),
        "quorum_trackstart": (c.c_uint64, c.c_uint),
        "quorum_fd_get": (c.c_uint64, pointers(c.c_int)),
        "quorum_dispatch": (c.c_uint64, c.c_int),
        "quorum_finalize": (c.c_uint64,),
    }
    for name, arguments in signatures.items():
        getattr(library, name).argtypes = arguments
    return library


class QuorumConnection:
    """A connection to the corosync of this network and mount namespace.

    Args:
        on_ring: ``on_ring(number, left)``: a new ring was formed, without these ids of the last.
        on_quorum: ``on_quorum(number, members, quorate)``: the ring's ids, and whether they have
            quorum.

    Both are called from within ``dispatch``.

    Raises:
        MissingRequirement: libquorum is not installed.
    """

    def __init__(
        self,
        on_ring: Callable[[int, list[int]], None],
        on_quorum: Callable[[int, list[int], bool], None],
    ) -> None:
        self._library = load_library()
        self._on_ring = on_ring
        self._on_quorum = on_quorum
        # The library keeps pointers to these: they must live as long as the connection.
        self._model = _Model(_MODEL_V1, _OnQuorum(self._quorum), _OnNodes(self._nodes))
        self._handle = c.c_uint64(0)
        self._connected = False

    def try_connect(self) -> bool:
        """Connect and subscribe to changes; return False while corosync is not up yet."""
        if self._connected:
            return True
        handle, kind = c.c_uint64(0), c.c_uint32(0)
        answer = self._library.quorum_model_initialize(
            c.byref(handle), _MODEL_V1, c.byref(self._model), c.byref(kind), None
        )
        if answer != _OK:
            return False
        if self._library.quorum_trackstart(handle, _TRACK_CURRENT | _TRACK_CHANGES) != _OK:
            self._library.quorum_finalize(handle)
            return False
        self._handle, self._connected = handle, True
        return True

    def fileno(self) -> int:
        """Return the descriptor to wait on before ``dispatch``; -1 while not connected."""
        descriptor = c.c_int(-1)
        if self._connected:
            self._check(self._library.quorum_fd_get(self._handle, c.byref(descriptor)), "fd_get")
        return descriptor.value

    def dispatch(self) -> None:
        """Call ``on_ring`` and ``on_quorum`` for every change since the last call.

        Raises:
            CrunchbedError: Corosync is gone.
        """
        if self._connected:
            answer = self._library.quorum_dispatch(self._handle, _DISPATCH_ALL)
            if answer != _TRY_AGAIN:
                self._check(answer, "dispatch")

    def _check(self, answer: int, what: str) -> None:
        if answer != _OK:
            raise CrunchbedError(f"libquorum: {what} ended with error {answer}")

    def _quorum(self, _handle: int, quorate: int, ring: Any, count: int, ids: Any) -> None:
        self._on_quorum(int(ring.seq), ids[:count] if count else [], bool(quorate))

    def _nodes(
        self,
        _handle: int,
        ring: Any,
        *lists: Any,
    ) -> None:
        _members, _members_at, _joined, _joined_at, left, left_at = lists
        self._on_ring(int(ring.seq), left_at[:left] if left else [])
