"""``python -m nodes.corosync CONFIG.json``: corosync on one node, and who watches it."""

import sys

from nodes.corosync.daemon import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
