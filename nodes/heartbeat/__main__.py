"""``python -m nodes.heartbeat CONFIG.json``: the heartbeat daemon of one node."""

import sys

from nodes.daemon import main
from nodes.heartbeat.config import HeartbeatConfig
from nodes.heartbeat.daemon import body

if __name__ == "__main__":
    sys.exit(main("heartbeat", HeartbeatConfig, body))
