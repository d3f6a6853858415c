"""``python -m crunchbed``: the command line."""

import sys

from crunchbed.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
