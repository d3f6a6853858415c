"""``python -m nodes.service CONFIG.json``: the service daemon of one node of the pair."""

import sys

from nodes.daemon import run_daemon
from nodes.service.daemon import body

if __name__ == "__main__":
    sys.exit(run_daemon("service", body))
