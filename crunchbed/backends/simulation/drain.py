"""A writeback crunch under a kernel profile: pages that are free only once they were written.

Machines make it so (``nodes/guest/config.py``, ``GuestBurst``): a task has dirty pages, the module
takes every page that writing frees, and leaves 0.3 of R free, which is below the atomic floor. The
rules of the 2005 mail need none of this: there tasks wait at R, and packets alone go below.
"""

from __future__ import annotations

from typing import Final

from reserve_agent.model.pool import Pool, Window

LEVEL: Final = (3, 10)
DIRTY_PER_WANTED: Final = (5, 4)
_NEVER: Final = 1 << 62


class Drain:
    """One crunch of a pool, from ``now`` on, until ``pages`` were written and taken.

    Attributes:
        wanted: Pages that were not taken yet.
    """

    def __init__(self, pool: Pool, pages: int, now: int) -> None:
        self._pool = pool
        self._pages = self.wanted = pages
        pool.ask(pages * DIRTY_PER_WANTED[0] // DIRTY_PER_WANTED[1])
        pool.demand = 0
        level = pool.reserve * LEVEL[0] // LEVEL[1]
        pool.windows = [*pool.windows, Window(now, _NEVER, level)]
        pool.advance(now)
        self._before = pool.squeezed

    @property
    def taken(self) -> int:
        """Pages that the crunch holds."""
        return self._pool.squeezed

    def look(self, now: int) -> bool:
        """Pages were written; returns whether that is all."""
        self.wanted = max(0, self._pages - (self.taken - self._before))
        if not self.wanted:
            self.end(now)
        return not self.wanted

    def end(self, now: int) -> None:
        """Give all pages back."""
        self.wanted = 0
        *before, last = self._pool.windows
        self._pool.windows = [*before, last._replace(end=now)]
        self._pool.advance(now)
