"""What comes of a trial, as it goes from who made the run to the sweep."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INTERRUPTED: Final = 130


@dataclass(frozen=True)
class Made:
    """What came of a trial."""

    archive: bytes  # the run's directory as a ZIP file; empty where there is no result
    exit_code: int  # of the process: 0, or why there is no result, as of every command
    words: str


def pack(directory: Path) -> bytes:
    """Return a directory as a ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in sorted(directory.rglob("*")):
            packed.write(path, path.relative_to(directory))
    return buffer.getvalue()
