"""A history that was damaged is the user's wrong input, wherever its values are stumbled over."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reserve_agent.errors import BadInput, CrunchbedError

_MOST_CHARACTERS = 120


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Within the block, computing from the history at ``path`` fails in one line.

    The types of an event's fields are not all checked when it is read, so that any error may come
    of a wrong one. Errors of files and of other input stay what they are.

    Raises:
        BadInput: something was computed that cannot be; says where and why.
    """
    try:
        yield
    except (CrunchbedError, OSError):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        why = " ".join(f"{type(error).__name__}: {error}".split())[:_MOST_CHARACTERS]
        place = f"{Path(last.filename).name}:{last.lineno}"
        raise BadInput(
            f"{path}: expected the history of a run, got one that makes no sense ({place}: {why})"
        ) from error
