"""``python -m nodes.guest CONFIG.json``: one node's attendant, started by a run."""

from __future__ import annotations

import sys

from nodes.daemon import main
from nodes.guest.attendant import body
from nodes.guest.config import AttendantConfig

if __name__ == "__main__":
    sys.exit(main("attendant", AttendantConfig, body))
