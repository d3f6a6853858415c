"""``python -m reserve_agent CONFIG.json``: one node's agent, started by a run."""

from __future__ import annotations

import sys
from pathlib import Path

from reserve_agent.agent import Agent
from reserve_agent.config import AgentConfig
from reserve_agent.config_files import read_config
from reserve_agent.errors import CrunchbedError


def main() -> int:
    """Run until SIGTERM."""
    try:
        Agent(read_config(Path(sys.argv[1]), AgentConfig)).run()
    except CrunchbedError as error:
        sys.stderr.write(f"reserve_agent: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
