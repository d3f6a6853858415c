"""``python -m nodes.heartbeat CONFIG.json``: the heartbeat daemon of one node."""

import sys

from nodes.heartbeat.daemon import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
