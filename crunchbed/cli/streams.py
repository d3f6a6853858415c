"""stdin, stdout and stderr as commands may rely on them, whatever they were started with."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def steady() -> None:
    """Open what is closed on the null device, and have stderr lose what it cannot write.

    A closed descriptor would be given to the next file that is opened, and what a library prints
    would go into that file. A stderr that is full or gone must not decide the exit code.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    if sys.stdout is sys.__stdout__ or sys.__stdout__ is None:
        sys.stdout = _over(_Watched(sys.stdout.fileno()), sys.stdout.encoding)
    if sys.stderr is sys.__stderr__ or sys.__stderr__ is None:
        sys.stderr = _over(_Lossy(sys.stderr.fileno()), sys.stderr.encoding)


class _Watched(io.RawIOBase):
    """A descriptor to write to, which remembers that it could not be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.failed = False

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        try:
            return len(content) if self.failed else os.write(self._number, content)
        except OSError:
            self.failed = True  # what is left is let go, so that the interpreter's end is quiet
            raise


class _Lossy(_Watched):
    """A descriptor to write to, where nothing is an error."""

    def write(self, content: Any, /) -> int:
        try:
            return os.write(self._number, content)
        except OSError:
            return len(content)


def _over(raw: _Watched, encoding: str) -> io.TextIOWrapper:
    """Return text over a descriptor; a path that is not text goes to stdout as the bytes it is."""
    lossy = isinstance(raw, _Lossy)
    errors = "surrogateescape" if encoding == "utf-8" and not lossy else "backslashreplace"
    lines, buffer = lossy or raw.isatty(), io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding=encoding, errors=errors, line_buffering=lines)


def stdout_lost() -> bool:
    """Return whether stdout could not be written."""
    return bool(getattr(getattr(sys.stdout.buffer, "raw", None), "failed", False))


def silence_stdout() -> None:
    """Let go of what stdout could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
