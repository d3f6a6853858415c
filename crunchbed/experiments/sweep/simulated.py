"""Simulated runs of a sweep: one process makes many, since a run takes less than its imports.

The process reads the path of a run's specification a line, makes the run, and answers with a line
of JSON. It ends with whoever started it: there is nothing more to read then.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, Final

import orjson

from crunchbed.experiments.sweep import run_process
from reserve_agent.errors import CrunchbedError


class Maker:
    """Makes simulated runs in a process of its own, which is started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def make(self, spec: Path) -> tuple[int, str]:
        """Make the run that a file says; return an exit code, and why there is no result.

        CrunchbedError: The process has ended.
        """
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise AssertionError("opened with both")
        try:
            process.stdin.write(f"{spec}\n".encode())
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise CrunchbedError(f"the process of simulated runs ended with {process.wait()}")
        code, words = orjson.loads(answer)
        return code, words

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            # Its own process group, as of every run: Ctrl-C reaches the sweep.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._process


MAKER: Final = Maker()
"""That of this process; a worker makes one run after the other."""


def serve(lines: Iterable[bytes], answers: IO[bytes]) -> None:
    """Make a run for each line; answer with its exit code and the last line that it wrote."""
    for line in lines:
        told = io.StringIO()
        with redirect_stderr(told), redirect_stdout(told):
            code = run_process.main(Path(line.decode().rstrip("\n")))
        words = told.getvalue().strip().splitlines()
        answers.write(orjson.dumps([code, words[-1] if words else f"ended with {code}"]) + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
