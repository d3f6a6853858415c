"""What a Dask worker does with a trial: make the run in a process of its own, send it back whole.

The run's directory travels as an archive, so that workers need no disk in common with whoever
asked, and a run is there whole or not at all.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True)
class Made:
    """What came of a trial.

    Attributes:
        archive: The run's directory; empty where there is no result.
        exit_code: Of the process: 0, or why there is no result, as everywhere.
        words: What it said then.
    """

    archive: bytes
    exit_code: int
    words: str


def make(scenario: dict[str, Any], seed: int) -> Made:
    """Make one run.

    Args:
        scenario: Resolved.
        seed: Of the run.
    """
    with tempfile.TemporaryDirectory(prefix="crunchbed-trial-") as place:
        out = Path(place, "run")
        spec = Path(place, "spec.json")
        content = {"scenario": scenario, "seed": seed, "out": str(out), "parent": os.getpid()}
        spec.write_bytes(orjson.dumps(content))
        # A group of its own: Ctrl-C reaches the sweep, which ends its workers, and so this.
        done = subprocess.run(
            [sys.executable, "-m", "crunchbed.experiments.sweep.child", str(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            check=False,
        )
        words = done.stderr.decode(errors="replace").strip().splitlines()
        if not (out / "result.json").exists():
            code = done.returncode if done.returncode > 0 else 3
            return Made(b"", code, words[-1] if words else f"ended with {done.returncode}")
        return Made(_pack(out), 0, "")


def _pack(directory: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in sorted(directory.rglob("*")):
            packed.write(path, path.relative_to(directory))
    return buffer.getvalue()
