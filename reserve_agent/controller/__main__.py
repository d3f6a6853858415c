"""``python -m reserve_agent.controller CONFIG.json``: a run's OpenFlow controller."""

from __future__ import annotations

from reserve_agent.controller import framework  # before anything that blocks

# isort: split
import logging
import os
import sys
import traceback
from pathlib import Path

from reserve_agent.controller.config import ControllerConfig
from reserve_agent.controller.desk import open_desk
from reserve_agent.controller.process import Controller
from reserve_agent.errors import CrunchbedError


def main() -> int:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        config = ControllerConfig.load(Path(sys.argv[1]))
        controller = Controller(config)
        framework.report_malformed(controller.board.was_malformed)
        framework.start(
            "reserve_agent.controller.app", *config.listen, switchboard=controller.board
        )
        desk = open_desk(config, controller.selector, controller.board.shed, controller.note)
        controller.ticks.append(desk.tick)
        controller.reports.append(desk.status)
        controller.ends.append(desk.close)
        controller.run()
    except CrunchbedError as error:
        sys.stderr.write(f"controller: {error}\n")
        return error.exit_code
    return 0


def _to_the_end() -> int:
    """The exit code; what nobody has foreseen is told, and ends the process as well."""
    try:
        return main()
    except Exception:
        traceback.print_exc()
        return CrunchbedError.exit_code


if __name__ == "__main__":
    code = _to_the_end()
    sys.stderr.flush()
    os._exit(code)  # the framework's threads wait for connections, and nothing else ends them
