"""``python -m nodes.service CONFIG.json``: the service daemon of one node of the pair."""

import sys

from nodes.daemon import main
from nodes.service.config import ServiceConfig
from nodes.service.daemon import body

if __name__ == "__main__":
    sys.exit(main("service", ServiceConfig, body))
