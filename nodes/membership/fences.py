"""Who is cut off, and which requests to cut a node off still mean something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class FenceAnswer(NamedTuple):
    """The fence service's answer to one request.

    Attributes:
        view: Number of the view that the request named.
        ok: Whether the target is certainly cut off.
        t_ns: When it was cut off, nanoseconds of CLOCK_MONOTONIC.
    """

    target: str
    view: int
    ok: bool
    t_ns: int


@dataclass(slots=True)
class _Fenced:
    view: int
    t_ns: int
    down: bool = True


class FenceLedger:
    """The books of the fence service.

    ``fence(target, by)`` cuts ``target`` off once, and returns whether that is certain. While the
    target is down, every further request gets a yes at once. A request for a view that is not newer
    than the one the target was fenced in also gets a yes, even when the target is up again: such a
    request means an earlier boot of it. Requests of a node that is cut off itself are refused, so
    that two nodes never fence each other.
    """

    def __init__(self, fence: Callable[[str, str], bool]) -> None:
        self._fence = fence
        self._fenced: dict[str, _Fenced] = {}

    def ask(self, target: str, by: str, view: int, now_ns: int) -> tuple[bool, int]:
        """Return whether ``target`` is cut off from view number ``view``, and since when."""
        asker = self._fenced.get(by)
        known = self._fenced.get(target)
        if asker is not None and (asker.down or view <= asker.view):
            return False, now_ns
        if known is None or (not known.down and view > known.view):
            if not self._fence(target, by):
                return False, now_ns
            known = self._fenced[target] = _Fenced(view, now_ns)
        return True, known.t_ns

    def is_down(self, target: str) -> bool:
        """Return whether a node is cut off, and has not booted since."""
        known = self._fenced.get(target)
        return known is not None and known.down

    def released(self, target: str) -> None:
        """Note that ``target`` is up again: a request for a newer view cuts it off anew."""
        if target in self._fenced:
            self._fenced[target].down = False
