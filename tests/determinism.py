"""Prints a digest of the simulated history of each seed; ``scripts/prove-determinism.sh`` compares.

Seed N runs scenario N of those that are named, beginning again after the last, or of all shipped
ones that are simulated.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator

from crunchbed.backends import backend_of
from crunchbed.cli.names import seed_range
from crunchbed.experiments.search.schedule import searched
from crunchbed.run.in_memory import digest, history_of
from crunchbed.scenario.loader import load, shipped
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError


def simulated(names: list[str]) -> Iterator[Scenario]:
    """Yield these scenarios, or all shipped ones, as far as they are simulated."""
    for name in names or shipped():
        try:
            scenario = searched(load(name))
        except BadInput:
            if names:
                raise
            continue
        if not backend_of(scenario).refuses(scenario, hold=False):
            yield scenario
        elif names:
            raise BadInput(f"{name}: is not simulated")


def main(arguments: list[str]) -> int:
    """Print a line for each seed: seed, scenario, number of events, digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", help="A..B")
    parser.add_argument("scenarios", nargs="*")
    asked = parser.parse_args(arguments)
    scenarios = list(simulated(asked.scenarios))
    sys.stderr.write(f"Python {platform.python_version()}, {len(scenarios)} scenarios\n")
    for seed in seed_range(asked.seeds, 1, 1):
        scenario = scenarios[seed % len(scenarios)]
        history = history_of(scenario, seed)
        line = f"{seed} {scenario.name} {len(history.events)} {digest(history)}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CrunchbedError as error:
        sys.exit(f"determinism: {error}")
