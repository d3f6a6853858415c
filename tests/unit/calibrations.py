"""What guests did, in small: sweeps, trials and sizes as measured on 6.1.192."""

from __future__ import annotations

from typing import Any

from crunchbed.calibrate.constant import Constant
from crunchbed.calibrate.floors import Sweep, floors
from crunchbed.calibrate.packets import Flagged, Trial, of_card
from crunchbed.calibrate.sizes import LONG, SHORT, Held, Sizes, sizes
from reserve_agent.model.profiles import CARDS, LINUX_6_1
from reserve_agent.model.profiles.kernel import Request
from reserve_agent.model.profiles.record import Profile

RESERVE = 884
SHIPPED = Profile(LINUX_6_1, CARDS["e1000"])
RING = 256
DUE = 584
SECOND = 1_000_000_000


def sweep(**changes: Any) -> Sweep:
    """The first sweep of a calibration of 6.1.192 with e1000."""
    told: dict[str, Any] = {
        "reserve": RESERVE,
        "step": 4,
        "highatomic": 0,
        "granted": dict(zip(Request, (336, 448, 448, 888, 4), strict=True)),
        "refused": dict(zip(Request, (332, 444, 444, 884, 0), strict=True)),
    }
    return Sweep(**(told | changes))


def trial(
    flagged: Flagged,
    heard: int,
    *,
    drops: int = 0,
    taken: int | None = None,
    late: int = 0,
    frame_bytes: int = LONG,
    slots: int = RING,
) -> Trial:
    """A window in which the reader had the first ``heard`` of the frames that the card took.

    Args:
        flagged: Who was flagged.
        heard: Frames that the reader had.
        drops: Frames that were dropped since they were from the reserve.
        taken: Frames that the card took; None: all.
        late: Frames after the window that were dropped.
        frame_bytes: Bytes of each.
        slots: Of the ring.
    """
    inside = DUE if taken is None else taken
    after = 456
    times = {n: n * SECOND // DUE for n in range(heard)}
    times |= {n: 2 * SECOND + n for n in range(inside + late, inside + after)}
    return Trial(
        *(flagged, frame_bytes, slots, DUE, inside, after, 0, SECOND),
        *(times, drops),
    )


E1000 = (
    trial(Flagged.READER, DUE, frame_bytes=SHORT),
    trial(Flagged.READER, 268, taken=277),
    trial(Flagged.NOBODY, 266, taken=275),
    trial(Flagged.OTHER, 266, taken=275),
)
"""One repeat."""


def sizes_of(**changes: Any) -> Sizes:
    """What one repeat found of e1000 on 6.1.192."""
    told: dict[str, Any] = {
        "short": 1280,
        "long": 2176,
        "copies": 252,
        "full": (Held(SHORT, 167, 1280), Held(LONG, 98, 2176)),
    }
    return Sizes(**(told | changes))


def measured() -> list[Constant]:
    """All constants of a calibration of 6.1.192 with e1000, two repeats."""
    found = [*floors([sweep()] * 2), *sizes([sizes_of()] * 2, SHIPPED, [RING] * 2)]
    return [*found, *of_card(E1000 * 2)]
