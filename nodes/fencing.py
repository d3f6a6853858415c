"""The fence service's protocol: how a coordinator has a node cut off, and learns that it is.

One JSON line each way over a Unix stream socket::

    {"fence": target, "by": node, "view": n}  ->  {"fenced": target, "ok": true, "t": ns, "view": n}

``view`` is the number of the view that the target is to leave. The answer repeats it, so that a
late answer is not taken for the answer to a newer request. Every request is answered exactly once,
perhaps later (``nodes.fence_service``).
"""

from __future__ import annotations

import time
from pathlib import Path

import orjson

from nodes.membership.fences import FenceAnswer
from reserve_agent.lines.client import LineSender


class FenceClient:
    """A node's side, which never blocks.

    A request that cannot be delivered is not answered: the caller asks again after its own
    timeout, and that connects anew.
    """

    def __init__(self, path: Path, node: str) -> None:
        self._node = node
        self._sender = LineSender(path)
        self.close = self._sender.close

    def fileno(self) -> int:
        """Return the descriptor to wait on for answers; -1 while not connected."""
        return self._sender.fileno()

    def request(self, target: str, view: int) -> bool:
        """Ask for ``target`` to be fenced; return whether the request could be delivered."""
        line = orjson.dumps({"fence": target, "by": self._node, "view": view}) + b"\n"
        delivered = self._sender.connect(time.monotonic_ns()) and (
            self._sender.send(line) == len(line)
        )
        if not delivered:
            self._sender.close()
        return delivered

    def answers(self) -> list[FenceAnswer]:
        """Return the answers that have arrived since the last call."""
        try:
            answers = [orjson.loads(line) for line in self._sender.receive()]
            return [FenceAnswer(a["fenced"], a["view"], a["ok"] is True, a["t"]) for a in answers]
        except (ValueError, KeyError, TypeError):
            self._sender.close()
            return []
