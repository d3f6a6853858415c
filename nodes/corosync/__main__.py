"""``python -m nodes.corosync CONFIG.json``: corosync on one node, and its watcher."""

import sys

from nodes.corosync.config import CorosyncConfig
from nodes.corosync.daemon import body
from nodes.daemon import main

if __name__ == "__main__":
    sys.exit(main("corosync", CorosyncConfig, body))
