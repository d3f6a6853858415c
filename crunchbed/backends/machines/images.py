"""The kernels that ``make machines`` has built; ``scripts/machines.sh`` says what is where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crunchbed.scenario.section import KERNELS

DIRECTORY_VARIABLE: Final = "CRUNCHBED_MACHINES"
MAKE: Final = "make machines"
DEFAULT: Final = KERNELS[0]
"""The kernel of a scenario that names none."""
QEMU: Final = "qemu-system-x86_64"
QEMU_CARDS: Final = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "8139cp": "rtl8139",
    "vmxnet3": "vmxnet3",
    "virtio-net": "virtio-net-pci",
}
"""QEMU's names of cards, by ``memory.nic``."""
_BUILT: Final = Path(__file__).resolve().parents[3] / "build" / "machines"


@dataclass(frozen=True)
class Image:
    """A kernel that machines can boot.

    Attributes:
        name: The value of ``memory.kernel``.
        directory: Where it was built.
        cards: The values of ``memory.nic`` for which the kernel has drivers.
    """

    name: str
    directory: Path
    cards: tuple[str, ...]

    @property
    def release(self) -> str:
        """What ``uname -r`` says in a guest."""
        return self.directory.name

    @property
    def kernel(self) -> Path:
        """The kernel's file."""
        return self.directory / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """Busybox, the guest agent, its module and the drivers."""
        return self.directory / "initramfs"


def directory() -> Path:
    """Return where kernels are built: ``$CRUNCHBED_MACHINES``, or the checkout's own folder."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or _BUILT)


def find(name: str, where: Path | None = None) -> Image | None:
    """Return the kernel of this name; None where it is not built, or not to the end."""
    built = ((where or directory()) / name).resolve()
    if not all((built / file).is_file() for file in ("vmlinuz", "initramfs", "cards")):
        return None
    drivers = (built / "cards").read_text().split()
    return Image(name, built, tuple(card for card, qemu in QEMU_CARDS.items() if qemu in drivers))


def remedy(name: str) -> str:
    """Return what brings the kernel of this name: a user's own comes with ``--kernel``."""
    return MAKE if name in KERNELS else "--kernel IMAGE --modules DIR"


def names(where: Path | None = None) -> list[str]:
    """Return the names of all kernels that are built, each once."""
    folder = where or directory()
    links = sorted(path.name for path in folder.glob("*") if path.is_symlink())
    return [name for name in links if find(name, folder) is not None]
