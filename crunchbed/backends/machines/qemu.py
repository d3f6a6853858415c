"""The command of one machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from crunchbed.backends.machines.images import QEMU, QEMU_CARDS, Image
from nodes.block.pattern import BLOCK_BYTES

Accelerator = Literal["kvm", "tcg"]

_PROCESSORS: Final[dict[Accelerator, str]] = {"kvm": "host", "tcg": "qemu64"}
# Swapped pages are to leave the guest, not to be compressed in it; IPv6 would send by itself.
_KERNEL_WORDS: Final = (
    *("console=ttyS0", "quiet", "loglevel=1", "panic=-1"),
    *("zswap.enabled=0", "ipv6.disable=1"),
)


@dataclass(frozen=True)
class Datagrams:
    """A wire whose frames are datagrams between two Unix sockets.

    Attributes:
        host: Where frames of the guest go.
        guest: Where QEMU takes frames for the guest.
    """

    host: Path
    guest: Path


@dataclass(frozen=True)
class Card:
    """A network card, and what it is plugged into.

    Attributes:
        nic: ``memory.nic``.
        wire: Name of a tap in the network namespace of QEMU, or datagrams.
        mac: Hardware address.
    """

    nic: str
    wire: str | Datagrams
    mac: str


@dataclass(frozen=True)
class Machine:
    """One machine with one processor.

    Attributes:
        name: In the process's command line.
        image: The kernel.
        accelerator: What executes the guest's instructions.
        memory_mib: All of its memory.
        shared: The file behind a mebibyte that it shares with the host; exists. None: it has none.
        console: The file that the kernel's messages are appended to.
        card: None: it has no network.
        words: What the guest's first process is told, without the prefix ``crunchbed.``.
        shell: The Unix socket behind the guest's second serial port, if it is to have one.
        disk: The file behind its disk (``/dev/vda``), if it has one.
        init: The guest's first process.
    """

    name: str
    image: Image
    accelerator: Accelerator
    memory_mib: int
    shared: Path | None
    console: Path
    card: Card | None
    words: Mapping[str, str | int]
    shell: Path | None = None
    disk: Path | None = None
    init: str = "/init"


def kernel_words(init: str, words: Mapping[str, str | int]) -> str:
    """Return the kernel's command line; ``words`` are for the first process, which is ``init``."""
    own = (f"crunchbed.{key}={value}" for key, value in words.items())
    return " ".join((*_KERNEL_WORDS, f"rdinit={init}", *own))


def argv(machine: Machine) -> list[str]:
    """Return QEMU's command. A guest that panics or powers off ends it, as -no-reboot says.

    The tap gets no offloads (vnet_hdr), so that a packet is one frame with its checksum. A card
    has no boot ROM (romfile), which would wait for a server first.
    """
    return [
        QEMU,
        *("-name", machine.name),
        *("-M", "pc", "-accel", machine.accelerator, "-cpu", _PROCESSORS[machine.accelerator]),
        *("-smp", "1", "-m", str(machine.memory_mib)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(machine.image.kernel), "-initrd", str(machine.image.initramfs)),
        *("-append", kernel_words(machine.init, machine.words)),
        *_card(machine.card),
        *_shared(machine.shared),
        *_disk(machine.disk),
        *("-chardev", f"file,id=console,append=on,{_path(machine.console, 'path')}"),
        *("-serial", "chardev:console"),
        *_shell(machine.shell),
    ]


def _card(card: Card | None) -> tuple[str, ...]:
    if card is None:
        return ()
    device = f"{QEMU_CARDS[card.nic]},netdev=net,mac={card.mac},romfile="
    return ("-netdev", _wire(card.wire), "-device", device)


def _wire(wire: str | Datagrams) -> str:
    if isinstance(wire, str):
        return f"tap,id=net,ifname={wire},script=no,downscript=no,vnet_hdr=off"
    ends = f"local.type=unix,{_path(wire.guest, 'local.path')}"
    return f"dgram,id=net,{ends},remote.type=unix,{_path(wire.host, 'remote.path')}"


def _shared(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    memory = f"memory-backend-file,id=shared,share=on,size=1M,{_path(path)}"
    return ("-object", memory, "-device", "ivshmem-plain,memdev=shared")


def _disk(path: Path | None) -> tuple[str, ...]:
    """Return a disk whose written blocks are in its file, in the host's page cache, at once.

    The file outlives QEMU. A host without room is an error of the write: QEMU would stop the guest.
    """
    if path is None:
        return ()
    drive = f"id=disk,if=none,format=raw,cache=writeback,discard=ignore,{_path(path, 'file')}"
    blocks = f"logical_block_size={BLOCK_BYTES},physical_block_size={BLOCK_BYTES}"
    return ("-drive", drive, "-device", f"virtio-blk-pci,drive=disk,werror=report,{blocks}")


def _shell(path: Path | None) -> tuple[str, ...]:
    """Return a serial port that nobody need listen to."""
    if path is None:
        return ()
    chardev = f"socket,id=shell,server=on,wait=off,{_path(path, 'path')}"
    return ("-chardev", chardev, "-serial", "chardev:shell")


def _path(path: Path, key: str = "mem-path") -> str:
    """Return an option with a path; QEMU has a comma doubled."""
    return f"{key}={str(path).replace(',', ',,')}"
