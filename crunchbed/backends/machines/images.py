"""The kernels that ``make machines`` has built; ``scripts/machines.sh`` says what is where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crunchbed.scenario.section import KERNELS
from nodes.guest.layout import VERSION

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
STORAGE: Final = "nvmet"
"""The variant of the guest that serves the disk over NVMe/TCP."""
VARIANT_MIB: Final = {"": 0, "corosync": 128, "iscsi": 24, "nvme-tcp": 4, STORAGE: 32}
"""What more a guest needs: for corosync and its watcher, which lock all that they have, 107 MiB on
three nodes; for open-iscsi, 15 MiB of files in memory and what its daemon locks; for nvme-tcp its
modules and 128 requests; as a target what is for the tasks of others."""
_KERNEL_MIB: Final = 96
"""What is not for tasks, about: the kernel, its initramfs, the agent, and the zone for ISA DMA."""
_BUILT: Final = Path(__file__).resolve().parents[3] / "build" / "machines"


@dataclass(frozen=True)
class Image:
    """A kernel that machines can boot.

    Attributes:
        name: The value of ``memory.kernel``.
        directory: Where it was built.
        cards: The values of ``memory.nic`` for which the kernel has drivers.
        variant: What its guests have beside the usual: a key of ``VARIANT_MIB``.
    """

    name: str
    directory: Path
    cards: tuple[str, ...]
    variant: str = ""

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
        """Busybox, the guest agent, its module and the drivers, and what the variant has."""
        return self.directory / f"initramfs{self.variant and f'-{self.variant}'}"

    @property
    def programs(self) -> dict[str, str]:
        """Versions of the programs that the variant brings, by name."""
        files = (place / self.variant / "version" for place in self.directory.parents)
        version = next(filter(Path.is_file, files), None)
        return {} if version is None else {self.variant: version.read_text().strip()}

    @property
    def own_mib(self) -> int:
        """What kernel, initramfs and agent take of a machine's memory, about."""
        return _KERNEL_MIB + VARIANT_MIB[self.variant]


def directory() -> Path:
    """Return where kernels are built: ``$CRUNCHBED_MACHINES``, or the checkout's own folder."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or _BUILT)


def find(name: str, where: Path | None = None, variant: str = "") -> Image | None:
    """Return the kernel of this name; None where it is not there, not whole, or out of date.

    Out of date is a guest that was built for another version of ``nodes/guest/shared.h``.
    """
    built = ((where or directory()) / name).resolve()
    if not (built / "cards").is_file() or _shared(built) != VERSION:
        return None
    drivers = (built / "cards").read_text().split()
    cards = tuple(card for card, qemu in QEMU_CARDS.items() if qemu in drivers)
    image = Image(name, built, cards, variant)
    return image if image.kernel.is_file() and image.initramfs.is_file() else None


def _shared(built: Path) -> int | None:
    try:
        return int((built / "shared").read_text())
    except (OSError, ValueError):
        return None


def variant_for(membership: str, transport: str) -> str:
    """Return what guests have beside the usual for a ``membership`` or ``block_io.transport``."""
    return next((name for name in (membership, transport) if name in VARIANT_MIB), "")


def remedy(name: str) -> str:
    """Return what brings the kernel of this name: a user's own comes with ``--kernel``."""
    return MAKE if name in KERNELS else "--kernel IMAGE --modules DIR"


def names(where: Path | None = None) -> list[str]:
    """Return the names of all kernels that are built, each once."""
    folder = where or directory()
    links = sorted(path.name for path in folder.glob("*") if path.is_symlink())
    return [name for name in links if find(name, folder) is not None]
