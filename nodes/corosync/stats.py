"""libcmap: how many packets knet has sent to each peer and received from it.

Corosync does not count heartbeats: these are all of its packets, knet's pings and pongs included.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping

from nodes.corosync.reports import Packets

LIBRARY = "libcmap.so.4"
_OK = 1
_MAP_STATS = 1
_SENT, _RECEIVED = "tx_total_packets", "rx_total_packets"


class KnetStats:
    """Packets since the last call; 0 where corosync does not tell, which is no error.

    Args:
        peers: Corosync's id of every other node by name.
        rings: How many rings, knet's links, lead to each peer; their packets are added up.
    """

    def __init__(self, peers: Mapping[str, int], rings: int = 1) -> None:
        self._peers = peers
        self._rings = rings
        self._library = c.CDLL(LIBRARY)
        self._library.cmap_initialize_map.argtypes = (c.POINTER(c.c_uint64), c.c_int)
        self._library.cmap_get_uint64.argtypes = (c.c_uint64, c.c_char_p, c.POINTER(c.c_uint64))
        self._handle: c.c_uint64 | None = None
        self._known: dict[str, Packets] = {}

    def news(self) -> dict[str, Packets]:
        """Return the packets of each peer since the last call."""
        if self._handle is None:
            handle = c.c_uint64(0)
            if self._library.cmap_initialize_map(c.byref(handle), _MAP_STATS) != _OK:
                return {}
            self._handle = handle
        added = {}
        for name, number in self._peers.items():
            now = Packets(*(self._read(number, counter) for counter in (_SENT, _RECEIVED)))
            before = self._known.get(name, Packets(0, 0))
            self._known[name] = now
            added[name] = Packets(
                *(max(0, new - old) for new, old in zip(now, before, strict=True))
            )
        return added

    def _read(self, number: int, counter: str) -> int:
        return sum(self._read_one(number, ring, counter) for ring in range(self._rings))

    def _read_one(self, number: int, ring: int, counter: str) -> int:
        value = c.c_uint64(0)
        key = f"stats.knet.node{number}.link{ring}.{counter}".encode()
        answer = self._library.cmap_get_uint64(self._handle, key, c.byref(value))
        return value.value if answer == _OK else 0
