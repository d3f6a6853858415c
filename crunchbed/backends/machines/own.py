"""The user's own kernel, made ready for machines; ``scripts/machines.sh`` checks and builds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crunchbed.host.requirements import require, requirement
from reserve_agent.errors import BadInput, MissingRequirement

_SCRIPT: Final = Path(__file__).resolve().parents[3] / "scripts" / "machines.sh"
_NAMED_BY_CONTENTS: Final = "-"
_WORDS: Final = "machines: "


@dataclass(frozen=True)
class OwnKernel:
    """A kernel as its build has left it.

    Attributes:
        image: The bzImage.
        modules: What ``/lib/modules/RELEASE`` is.
        headers: What a module is built against; None: ``build`` in ``modules``.
    """

    image: Path
    modules: Path
    headers: Path | None = None


def prepare(kernel: OwnKernel, say: Callable[[str], object], script: Path = _SCRIPT) -> str:
    """Build what machines boot of a kernel, where that is not there; return its ``memory.kernel``.

    The name has the kernel's release and a key of its contents: another kernel has another name.

    Args:
        kernel: What the user has.
        say: Told what is being done, a line at a time.
        script: ``scripts/machines.sh``.

    Raises:
        BadInput: Image, modules and headers are not of one kernel that machines can boot.
        MissingRequirement: Root, QEMU or the headers are missing, or the module does not build:
            the error then names the file with the compiler's output.
    """
    require([requirement("root"), requirement("qemu")])
    given = [kernel.image, kernel.modules, *([] if kernel.headers is None else [kernel.headers])]
    code, name, last = _run(
        [str(script), _NAMED_BY_CONTENTS, *(str(path.absolute()) for path in given)], say
    )
    if code:
        raised = BadInput if code == BadInput.exit_code else MissingRequirement
        raise raised(f"--kernel: {last or name}")
    return name


def _run(command: Sequence[str], say: Callable[[str], object]) -> tuple[int, str, str]:
    """Return the script's exit code, its last line of output, and the last words that it said."""
    last = name = ""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                if line.startswith(_WORDS):
                    last = line.removeprefix(_WORDS).strip()
                    say(last)
                else:
                    name = line.strip()
        except BaseException:  # Ctrl-C: the script ends too
            process.terminate()
            raise
    return process.returncode, name, last
