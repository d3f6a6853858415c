"""The wheel that says when running readers have read their buffers."""

from __future__ import annotations

from dataclasses import dataclass, field

from reserve_agent.contract.packets import WHEEL_LIFE, WHEEL_SLOTS


@dataclass
class Wheel:
    """Buffers whose reader runs, by the tick in which they were taken.

    A buffer stays for the rest of its own tick and eight whole ones: between 1 and 1.125 times
    the service time.
    """

    tick: int = 0
    slots: list[int] = field(default_factory=lambda: [0] * WHEEL_SLOTS)

    @property
    def pages(self) -> int:
        """All pages on the wheel."""
        return sum(self.slots)

    def turn(self, tick: int) -> int:
        """Turn to ``tick``; returns the pages whose readers are done."""
        done = 0
        if tick <= self.tick:
            return 0
        for step in range(1, min(tick - self.tick, WHEEL_SLOTS) + 1):
            slot = (self.tick + step - WHEEL_LIFE) % WHEEL_SLOTS
            done += self.slots[slot]
            self.slots[slot] = 0
        self.tick = tick
        return done

    @property
    def slot(self) -> int:
        """Where pages are put now."""
        return self.tick % WHEEL_SLOTS

    def put(self, pages: int) -> None:
        """Keep pages for the service time."""
        self.slots[self.slot] += pages

    def take(self, slot: int, pages: int) -> bool:
        """Take pages back out of a slot; False when it has been emptied since."""
        if self.slots[slot] < pages:
            return False
        self.slots[slot] -= pages
        return True
