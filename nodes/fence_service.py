"""The fence service, run by whoever can cut nodes off; ``nodes.fencing`` has its protocol."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from pathlib import Path

from nodes.membership.fences import FenceLedger
from reserve_agent.lines.framing import MalformedMessage, Message
from reserve_agent.lines.server import LineServer

_LINE_LIMIT = 4096


class FenceServer:
    """A client that sends anything but requests is hung up on.

    Args:
        path: The Unix socket to make; ``close`` removes it.
        fence: See ``FenceLedger``; its errors reach the owner's loop.
        selector: The owner's, see ``LineServer``.
        wait_ns: ``wait_ns(target, by)``: how long a request waits before it is carried out.
        later: Has something called at a time of CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        path: Path,
        fence: Callable[[str, str], bool],
        selector: selectors.BaseSelector,
        wait_ns: Callable[[str, str], int],
        later: Callable[[int, Callable[[], None]], None],
    ) -> None:
        self._wait_ns = wait_ns
        self._later = later
        self._open = True
        self._ledger = FenceLedger(fence)
        self._server = LineServer(path, selector, self._answer, limit=_LINE_LIMIT, strict=True)
        self.released = self._ledger.released

    def close(self) -> None:
        """Close every connection and remove the socket."""
        self._open = False
        self._server.close()

    def _answer(self, message: Message) -> Message | None:
        target, by, view = (message.get(name) for name in ("fence", "by", "view"))
        if not (isinstance(target, str) and isinstance(by, str) and type(view) is int):
            raise MalformedMessage("expected a fence request")
        wait = 0 if self._ledger.is_down(target) else self._wait_ns(target, by)
        if not wait:
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
