"""Pieces of pages: what a kernel makes packets of. All counts are whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from reserve_agent.model.buffers import Origin
from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.kernel import Kernel, Request


class Piece(NamedTuple):
    """One buffer: what it is a piece of, and whether that was got from the reserve."""

    origin: Origin
    from_reserve: bool


NOTHING = Piece(Origin.PAGE, from_reserve=False)
"""What is being cut before the first page is."""


@dataclass
class Pieces:
    """Buffers of one size, cut from fragments where there are any, else from single pages.

    Pages come back by count: as soon as as many pieces are free as a page, or a fragment, has.

    Attributes:
        single: Origin of a piece of a single page.
        per_page: Pieces of a single page.
        per_fragment: Pieces of a fragment; 0 = never cut from one.
        fragment_pages: Pages of a fragment.
        left: Pieces at hand of what is being cut, which is
        current: so.
        free_singles: Free pieces of single pages that make no whole page yet.
        free_fragments: The same of fragments.
        pages: All pages that are cut up.
    """

    pool: Pool
    kernel: Kernel
    single: Origin
    per_page: int
    per_fragment: int = 0
    fragment_pages: int = 0
    left: int = 0
    current: Piece = NOTHING
    free_singles: int = 0
    free_fragments: int = 0
    pages: int = 0

    @property
    def marked(self) -> bool:
        """Whether the pieces at hand are from the reserve."""
        return self.left > 0 and self.current.from_reserve

    def take(self, memalloc: bool) -> Piece | None:
        """The next piece; a page is needed only where none is at hand."""
        if not self.left and not self._cut(memalloc):
            return None
        self.left -= 1
        return self.current

    def ask(self, memalloc: bool) -> Piece | None:
        """The next piece; it has the mark only if all that is free now is of the reserve.

        The memory of a copy is asked for without the reserve first, and only then with it
        (kmalloc_reserve() in net/core/skbuff.c). So after a crunch no copy has the mark, even if it
        is cut from a page that was got from the reserve.
        """
        piece = self.take(memalloc)
        mark = self.kernel.floors.pages(self.kernel.from_reserve, self.pool.reserve)
        if piece is None or not piece.from_reserve or self.pool.free <= mark:
            return piece
        return Piece(piece.origin, from_reserve=False)

    def _cut(self, memalloc: bool) -> bool:
        pool, floors, reserve = self.pool, self.kernel.floors, self.pool.reserve
        fragment = floors.pages(Request.FRAGMENT, reserve)
        if self.per_fragment and pool.lend(self.fragment_pages, fragment):
            self.current, self.left = Piece(Origin.FRAGMENT, False), self.per_fragment
            self.pages += self.fragment_pages
            return True
        mark = floors.pages(self.kernel.from_reserve, reserve)
        from_reserve = pool.free - 1 < mark
        floor = floors.pages(Request.MEMALLOC if memalloc else Request.ATOMIC, reserve)
        if not pool.lend(1, floor):
            return False
        self.current, self.left = Piece(self.single, from_reserve), self.per_page
        self.pages += 1
        return True

    def give(self, origin: Origin) -> None:
        """A piece is free again."""
        if origin is Origin.FRAGMENT:
            self.free_fragments += 1
            if self.free_fragments == self.per_fragment:
                self.free_fragments = 0
                self._back(self.fragment_pages)
            return
        self.free_singles += 1
        if self.free_singles == self.per_page:
            self.free_singles = 0
            self._back(1)

    def _back(self, pages: int) -> None:
        self.pages -= pages
        self.pool.take_back(pages)


@dataclass
class Heads:
    """Heads of packets (struct sk_buff): cached, and cut from pages that GFP_ATOMIC finds.

    Attributes:
        keep: Heads that stay at hand when they are free.
        per_page: Heads of a page.
        at_hand: Heads that need no page.
        pages: Pages of all heads.
    """

    pool: Pool
    kernel: Kernel
    keep: int
    per_page: int
    at_hand: int = 0
    pages: int = 0

    def fill(self) -> None:
        """As many as are kept at hand, whatever the level: the kernel has them from its boot."""
        while self.at_hand < self.keep and self.pool.lend(1, 0):
            self.pages += 1
            self.at_hand += self.per_page

    def take(self) -> bool:
        """One more is used; a page for heads is never asked for with __GFP_MEMALLOC."""
        if not self.at_hand:
            floor = self.kernel.floors.pages(Request.ATOMIC, self.pool.reserve)
            if not self.pool.lend(1, floor):
                return False
            self.pages += 1
            self.at_hand = self.per_page
        self.at_hand -= 1
        return True

    def give(self) -> None:
        """One is free again; a page of free heads beyond those kept goes back."""
        self.at_hand += 1
        if self.at_hand >= self.keep + 2 * self.per_page:
            self.at_hand -= self.per_page
            self.pages -= 1
            self.pool.take_back(1)
