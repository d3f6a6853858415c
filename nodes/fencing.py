"""The fence service's protocol: how a coordinator has a node cut off, and learns that it is.

One JSON line each way over a Unix stream socket::

    {"fence": target, "by": node, "view": n}  ->  {"fenced": target, "ok": true, "t": ns, "view": n}

``view`` is the number of the view that the target is to leave. The answer repeats it, so that a
late answer is not taken for the answer to a newer request. Every request is answered exactly once,
perhaps later.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from nodes.membership.fences import FenceAnswer, FenceLedger
from reserve_agent.lines.client import LineSender
from reserve_agent.lines.framing import MalformedMessage, Message
from reserve_agent.lines.server import LineServer

_LINE_LIMIT = 4096


class FenceClient:
    """A node's side, which never blocks.

    A request that cannot be delivered is not answered: the caller asks again after its own
    timeout, and that connects anew.
    """

    def __init__(self, path: Path, node: str) -> None:
        self._node = node
        self._sender = LineSender(path)

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
            return [_read_answer(line) for line in self._sender.receive()]
        except (ValueError, KeyError, TypeError):
            self._sender.close()
            return []

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        self._sender.close()


def _read_answer(line: bytes) -> FenceAnswer:
    answer = orjson.loads(line)
    return FenceAnswer(answer["fenced"], answer["view"], answer["ok"] is True, answer["t"])


class FenceServer:
    """The fence service, run by whoever can cut nodes off.

    A client that sends anything but requests is hung up on. An owner with a loop passes its
    selector, see ``LineServer``; an owner without one calls ``pump``.

    Args:
        path: The Unix socket to make; ``close`` removes it.
        fence: See ``FenceLedger``; its errors reach the loop, or the caller of ``pump``.
        selector: The owner's, or None for one of its own.
        wait_ns: ``wait_ns(target, by)``: how long a request waits before it is carried out.
        later: Has something called at a time of CLOCK_MONOTONIC; for requests that wait.
    """

    def __init__(
        self,
        path: Path,
        fence: Callable[[str, str], bool],
        selector: selectors.BaseSelector | None = None,
        *,
        wait_ns: Callable[[str, str], int] = lambda _target, _by: 0,
        later: Callable[[int, Callable[[], None]], None] | None = None,
    ) -> None:
        self._wait_ns = wait_ns
        self._later = later
        self._open = True
        self._ledger = FenceLedger(fence)
        self._selector = selector or selectors.DefaultSelector()
        self._server = LineServer(
            path, self._selector, self._answer, limit=_LINE_LIMIT, strict=True
        )

    def pump(self, timeout: float) -> None:
        """Serve what is ready, waiting up to ``timeout`` seconds for the first of it."""
        for key, _ in self._selector.select(timeout):
            key.data()

    def released(self, target: str) -> None:
        """See ``FenceLedger.released``: to be called when a fenced node boots again."""
        self._ledger.released(target)

    def close(self) -> None:
        """Close every connection and remove the socket."""
        self._open = False
        self._server.close()

    def _answer(self, message: Message) -> Message | None:
        target, by, view = (message.get(name) for name in ("fence", "by", "view"))
        if not (isinstance(target, str) and isinstance(by, str) and type(view) is int):
            raise MalformedMessage("expected a fence request")
        wait = (
            0 if self._later is None or self._ledger.is_down(target) else self._wait_ns(target, by)
        )
        if not wait or self._later is None:
            return self._decide(target, by, view)
        answer = self._server.answer_later()

        def carry_out() -> None:
            if self._open:
                answer(self._decide(target, by, view))

        self._later(time.monotonic_ns() + wait, carry_out)
        return None

    def _decide(self, target: str, by: str, view: int) -> Message:
        """Carry a request out, unless whoever asked is cut off by now."""
        ok, t_ns = self._ledger.ask(target, by, view, time.monotonic_ns())
        return {"fenced": target, "ok": ok, "t": t_ns, "view": view}
