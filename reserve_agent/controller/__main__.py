"""``python -m reserve_agent.controller CONFIG.json``: a run's OpenFlow controller."""

from __future__ import annotations

from reserve_agent.controller import framework  # before anything that blocks

# isort: split
import logging
import os
import sys
import traceback
from pathlib import Path

from reserve_agent.config_files import read_config
from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.process import Controller
from reserve_agent.errors import CrunchbedError


def main() -> int:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        config = read_config(Path(sys.argv[1]), ControllerConfig)
        controller = Controller(config)
        framework.report_malformed(controller.switches.was_malformed)
        app = "reserve_agent.controller.app"
        framework.start(app, *config.listen, switches=controller.switches)
        controller.run()
    except CrunchbedError as error:
        sys.stderr.write(f"controller: {error}\n")
        return error.exit_code
    except Exception:  # nobody has foreseen it; the process ends all the same
        traceback.print_exc()
        return CrunchbedError.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # the framework's threads wait for connections, and nothing else ends them
