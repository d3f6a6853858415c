"""From the guest's CLOCK_MONOTONIC to the host's. Pure.

A command is put at one time of the host and its answer is there at another; in between the guest
reads its clock once. So the difference of the two clocks is within a known interval, which is the
narrower the shorter the round trip was. Intervals of many answers are cut with each other. As the
clocks drift apart, an interval grows with its age. The offset that is used stays what it is for as
long as it is possible, so that lengths of time are the guest's own.
"""

from __future__ import annotations

from typing import Final

DRIFT_PPM: Final = 500
"""More than a guest's clock drifts: adjtimex(2) corrects as much at most."""


class GuestClock:
    """What is known of the difference between the two clocks. All times in nanoseconds."""

    def __init__(self) -> None:
        self._least = self._most = self._offset = 0
        self._at_ns: int | None = None

    def answered(self, asked_ns: int, guest_ns: int, heard_ns: int) -> None:
        """Take an answer into account.

        Args:
            asked_ns: Time of the host at which the guest had not been asked yet.
            guest_ns: Time of the guest when it answered.
            heard_ns: Time of the host at which the answer was there.
        """
        least, most = asked_ns - guest_ns, heard_ns - guest_ns
        offset = (least + most) // 2
        if self._at_ns is not None:
            drift = (heard_ns - self._at_ns) * DRIFT_PPM // 1_000_000
            both = max(least, self._least - drift), min(most, self._most + drift)
            if both[0] <= both[1]:  # else the guest's clock has jumped: believe the last answer
                least, most = both
                offset = min(max(self._offset, least), most)
        self._least, self._most, self._offset, self._at_ns = least, most, offset, heard_ns

    @property
    def known(self) -> bool:
        """Whether there was an answer."""
        return self._at_ns is not None

    @property
    def offset_ns(self) -> int:
        """The host's clock minus the guest's; right within ``bound_ns``."""
        return self._offset

    @property
    def bound_ns(self) -> int:
        """By how much ``offset_ns`` may be wrong at most."""
        return max(self._offset - self._least, self._most - self._offset)

    def host_ns(self, guest_ns: int) -> int:
        """Return a time of the guest as the host's clock shows it."""
        return guest_ns + self.offset_ns

    def guest_ns(self, host_ns: int) -> int:
        """Return a time of the host as the guest's clock shows it."""
        return host_ns - self.offset_ns
