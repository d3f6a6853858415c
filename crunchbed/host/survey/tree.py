"""The files of a machine below a directory that stands for its root; they are only read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_MOST_LOG_BYTES: Final = 16 << 20
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESRCH, errno.EINVAL)
"""What a file that is not there says; some of /sys answer so while their device is not in use."""


class Tree:
    """Reads files, and keeps which ones are there and could not be read.

    Attributes:
        root: The directory that stands for ``/``.
        unread: Why a file could not be read, by its path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.unread: dict[str, str] = {}

    def _at(self, path: str) -> Path:
        """Return where a path is; OSError for a link that leads to another machine's files."""
        at = self.root / path.lstrip("/")
        if not at.resolve().is_relative_to(self.root):
            raise OSError(errno.EXDEV, "leads out of the directory")
        return at

    def text(self, path: str) -> str | None:
        """Return a file's text without the last line's end; None where it is not there."""
        try:
            return _decoded(self._at(path).read_bytes()).rstrip("\n")
        except OSError as error:
            self._note(path, error)
            return None

    def lines(self, path: str) -> list[str]:
        """Return a file's lines; none where it is not there."""
        return (self.text(path) or "").splitlines()

    def number(self, path: str) -> int | None:
        """Return the whole number that a file begins with; None where there is none."""
        words = (self.text(path) or "").split()
        return int(words[0]) if words and words[0].isdecimal() else None

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none where it is not there."""
        try:
            return sorted(each.name for each in self._at(path).iterdir())
        except OSError as error:
            self._note(path, error)
            return []

    def exists(self, path: str) -> bool:
        """Return whether there is such a file or directory."""
        try:
            return self._at(path).exists()
        except OSError as error:
            self._note(path, error)
            return False

    def device_path(self, path: str) -> str:
        """Return where links lead from a path, such as that of a disk in /sys, as one string."""
        return os.path.realpath(self.root / path.lstrip("/"))

    def log(self, path: str) -> list[str] | None:
        """Return the lines of a log that may not end, such as /dev/kmsg; None: cannot be read."""
        try:
            handle = os.open(self._at(path), os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            self._note(path, error)
            return None
        with os.fdopen(handle, "rb", buffering=0) as file:
            return _decoded(b"".join(_records(file.fileno()))).splitlines()

    def _note(self, path: str, error: OSError) -> None:
        if error.errno not in _NOT_THERE:
            self.unread[path] = (error.strerror or str(error)).lower()


def _decoded(content: bytes) -> str:
    """Return text that may become part of a path: without a null byte."""
    return content.decode(errors="replace").replace("\0", "\ufffd")


def _records(handle: int) -> list[bytes]:
    """Return what can be read without waiting; /dev/kmsg gives one record at each read."""
    found: list[bytes] = []
    size = 0
    while size < _MOST_LOG_BYTES:
        try:
            record = os.read(handle, 1 << 16)
        except BlockingIOError:
            break
        except BrokenPipeError:  # the kernel has overwritten records that were next
            continue
        except OSError:
            break
        if not record:
            break
        found.append(record)
        size += len(record)
    return found
