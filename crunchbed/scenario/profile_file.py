"""The profile file that a scenario's ``memory.kernel`` may name: its content takes its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from reserve_agent.model.profiles.record import record_of
from reserve_agent.profile_files import load_profile

KEY: Final = ("memory", "kernel")
"""The key that may name one."""
_FILES: Final = (".json", ".yaml", ".yml")
"""How a ``memory.kernel`` ends that is a profile file, if it has no folder before it."""


def with_profile(keys: dict[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """Return a scenario's keys with the content of the profile file that they name, if they do.

    Args:
        keys: The keys, checked or not.
        folder: Where a relative path begins; None: the working directory, as on a command line.

    Raises:
        BadInput: The file cannot be read or is no profile; one line with file, key and expected.
    """
    memory = keys.get("memory")
    if not isinstance(memory, dict) or not _is_file(memory.get("kernel")):
        return keys
    path = (folder or Path()) / memory["kernel"]
    return {**keys, "memory": {**memory, "kernel": record_of(load_profile(Path(shown(path))))}}


def _is_file(kernel: object) -> bool:
    return isinstance(kernel, str) and (os.sep in kernel or kernel.endswith(_FILES))


def shown(path: Path) -> str:
    """Return a path as messages name it: from the working directory, where it is below that."""
    try:
        return str(path.resolve().relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except (ValueError, OSError):
        return str(path)
