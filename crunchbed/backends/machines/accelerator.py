"""Which accelerator a kernel boots with on this machine: tried once, and kept beside the kernel.

That there is a ``/dev/kvm`` proves nothing: on some hosts no stock kernel gets anywhere with it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from crunchbed.backends.machines.images import Image
from crunchbed.backends.machines.qemu import Accelerator, Machine, argv
from nodes.guest.layout import SHARED_BYTES, State
from nodes.guest.ring import SharedMemory
from nodes.process import Process
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from reserve_agent.files import write_json

KVM: Final = Path("/dev/kvm")
TRIAL_SECONDS: Final = 10.0
"""In which a guest reaches its init with KVM; a machine without load takes a second."""
_TRIAL_MIB: Final = 128
_NO_CARD: Final = {"nic": "none"}
"""With it init starts an agent that says at once that there is no such card, and ends QEMU."""


def choose(
    image: Image,
    folder: Path,
    launch: Callable[[list[str]], Process],
    *,
    qemu: str,
    pump: Callable[[], object] | None = None,
    kvm: Path = KVM,
) -> Accelerator:
    """Return the accelerator for a kernel: KVM where a trial boot reaches init in time.

    Args:
        image: The kernel.
        folder: For the files of the trial.
        launch: Starts a command.
        qemu: QEMU's version: another one is tried anew, as another kernel of the host is.
        pump: Called while waiting.
        kvm: The device of KVM.
    """
    if not os.access(kvm, os.R_OK | os.W_OK):
        return "tcg"
    asked = {"host": os.uname().release, "qemu": qemu}
    kept = image.directory / "accelerator.json"
    if (known := _read(kept)) is not None and asked.items() <= known.items():
        return "kvm" if known.get("accelerator") == "kvm" else "tcg"
    answer: Accelerator = "kvm" if boots(image, "kvm", folder, launch, pump) else "tcg"
    with contextlib.suppress(OSError):  # it is tried again, then
        write_json(kept, {**asked, "accelerator": answer})
    return answer


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def boots(
    image: Image,
    accelerator: Accelerator,
    folder: Path,
    launch: Callable[[list[str]], Process],
    pump: Callable[[], object] | None = None,
) -> bool:
    """Return whether a guest reaches its init in time; the arguments are those of ``choose``."""
    shared = folder / "trial"
    with shared_memory(shared) as memory:
        trial = Machine(
            name="crunchbed-trial",
            image=image,
            accelerator=accelerator,
            memory_mib=_TRIAL_MIB,
            shared=shared,
            console=folder / "trial.console",
            card=None,
            words=_NO_CARD,
        )
        process = launch(argv(trial))
        with contextlib.suppress(CrunchbedError):
            wait_until(
                lambda: _reached_init(memory) or process.poll() is not None,
                TRIAL_SECONDS,
                "the trial boot reaches init",
                pump=pump,
            )
        process.kill()
        return _reached_init(memory)


def _reached_init(memory: SharedMemory) -> bool:
    return bool(memory.agent.state != State.NONE)


@contextlib.contextmanager
def shared_memory(path: Path) -> Iterator[SharedMemory]:
    """Make the file behind a guest's shared memory, ready for a boot, and map it."""
    with path.open("xb") as made:
        made.truncate(SHARED_BYTES)
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), SHARED_BYTES)
    memory = SharedMemory(memoryview(mapped))
    memory.prepare()
    yield memory
