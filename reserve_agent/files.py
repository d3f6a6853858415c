"""Files that appear whole or not at all: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


def partial_of(path: Path) -> Path:
    """Return where a file is written before it is moved to ``path``; hidden, on the same disk."""
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give the place to write a file to, and move the file to ``path`` at the end.

    A kill leaves the old file or the new one at ``path``; an error leaves the old file, and
    nothing of the new one.

    Raises:
        OSError: the file cannot be moved to ``path``; it names ``path``, also where writing to
            the place has failed.
    """
    partial = partial_of(path)
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            error.filename = str(path)  # an error of writing names no file
        with contextlib.suppress(OSError):  # the disk that made the error may make another
            partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; raises OSError where it cannot."""
    with whole(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; see ``write_bytes``."""
    write_bytes(path, orjson.dumps(value, option=orjson.OPT_INDENT_2))
