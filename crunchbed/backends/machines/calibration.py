"""One guest measured for a profile: what is done, in which order and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crunchbed.backends.machines import trials
from crunchbed.backends.machines.images import Image
from crunchbed.backends.machines.lone import LoneGuest, booted
from crunchbed.calibrate.constant import Constant
from crunchbed.calibrate.floors import floors
from crunchbed.calibrate.packets import Flagged, of_card
from crunchbed.calibrate.sizes import LONG, SHORT, sizes
from nodes.guest import commands
from reserve_agent.model.profiles.record import Profile

RESERVE_PAGES: Final = 1024
"""Asked for; the largest zone has the most of it. A step of a sweep is then 0.5 % of R."""
_BALLAST_ABOVE: Final = 3000
"""Pages above the high watermark: a guest that reclaims would free some that nobody gave back."""
_TRIALS: Final = (
    (Flagged.READER, SHORT),
    (Flagged.READER, LONG),
    (Flagged.NOBODY, LONG),
    (Flagged.OTHER, LONG),
)
_VERSION_AT: Final = 526
"""Where a bzImage says where its version is (Documentation/arch/x86/boot.rst)."""
_SETUP_BYTES: Final = 512
_LONGEST_VERSION: Final = 256


@dataclass(frozen=True)
class Calibration:
    """What one guest was found to be.

    Attributes:
        release: Its kernel, as ``uname -r`` says it.
        constants: What was measured.
    """

    release: str
    constants: tuple[Constant, ...]


def calibrate(
    image: Image,
    nic: str,
    base: Profile,
    repeats: int,
    folder: Path,
    say: Callable[[str], object],
) -> Calibration:
    """Boot a guest, and measure it.

    Args:
        image: Its kernel.
        nic: Its card, as ``memory.nic`` has it.
        base: Has what cannot be told from outside, such as the size of a head.
        repeats: How often each constant is measured.
        folder: An empty directory for the guest's files.
        say: Told what is being done.

    Raises:
        RunInvalid: The guest does not come up, fails or ends.
        MissingRequirement: It is of an older build.
    """
    say("boots")
    with booted(image, nic, RESERVE_PAGES, folder) as guest:
        guest.ask(commands.ballast(_BALLAST_ABOVE))
        return Calibration(guest.release, tuple(_measured(guest, base, repeats, say)))


def _measured(
    guest: LoneGuest, base: Profile, repeats: int, say: Callable[[str], object]
) -> list[Constant]:
    say(f"floors, {repeats} times")
    sweeps = [trials.sweep(guest) for _ in range(repeats)]
    if not floors(sweeps):
        say("floors cannot be told: pages were set aside for GFP_ATOMIC (HIGHATOMIC)")
    say(f"packets at a quarter of the reserve, {repeats} times")
    ring = trials.slots(guest)
    trials.turn(guest, ring)
    windows = [
        trials.trial(guest, flagged, frame_bytes, ring)
        for _ in range(repeats)
        for flagged, frame_bytes in _TRIALS
    ]
    say(f"sizes of buffers, {repeats} times")
    held = [trials.sizes(guest) for _ in range(repeats)]
    rings = [trials.slots(guest) for _ in range(repeats)]
    return [*floors(sweeps), *sizes(held, base, rings), *of_card(windows)]


def version_of(kernel: Path) -> str:
    """Return what a kernel's image says of its version, as ``uname -a`` would; empty if nothing."""
    with kernel.open("rb") as file:
        file.seek(_VERSION_AT)
        file.seek(int.from_bytes(file.read(2), "little") + _SETUP_BYTES)
        return file.read(_LONGEST_VERSION).split(b"\0")[0].decode(errors="replace").strip()
