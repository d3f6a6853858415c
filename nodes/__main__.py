"""``python -m nodes NAME CONFIG.json``: a daemon, or the read-back, until SIGTERM.

Python compiles the file that it is told to run at every start, but not what that file imports.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import get_type_hints

from nodes.daemon import main

MODULES = {
    "heartbeat": "nodes.heartbeat.daemon",
    "corosync": "nodes.corosync.daemon",
    "service": "nodes.service.daemon",
    "initiator": "nodes.block.initiator",
    "traffic": "nodes.traffic",
    "verify": "nodes.block.verify",
}
"""Each has a function ``body(config, stop)``."""


def run(name: str) -> int:
    """Run a daemon by its name; returns its exit code, see ``nodes.daemon.main``."""
    body = import_module(MODULES[name]).body
    return main(name, get_type_hints(body)["config"], body)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in MODULES:
        sys.stderr.write(f"nodes: expected one of {', '.join(MODULES)}\n")
        sys.exit(2)
    sys.exit(run(sys.argv.pop(1)))
