"""Profile files: what ``crunchbed calibrate`` writes and scenarios name."""

from __future__ import annotations

import json
from pathlib import Path

from reserve_agent.errors import BadInput
from reserve_agent.model.profiles.record import Profile, profile_of


def load_profile(path: Path) -> Profile:
    """Return the kernel and card of a profile file.

    Raises:
        BadInput: It cannot be read or is no profile: one line with the file, the key or the line,
            and what was expected.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: line {error.lineno}: expected JSON: {error.msg}") from None
    except ValueError:
        raise BadInput(f"{path}: expected JSON in UTF-8") from None
    return profile_of(content, str(path))
