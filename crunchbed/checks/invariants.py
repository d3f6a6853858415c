"""What no run may break, whatever its scenario does to the cluster.

``crunchbed search`` holds every run against these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from crunchbed.checks import consistency, explained, service, split_brain, votes, writes
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario


class Broken(NamedTuple):
    """A rule that a run has broken.

    Attributes:
        rule: One of ``RULES``.
        what: What happened, in words.
    """

    rule: str
    what: str


Rule = Callable[[History, Scenario], list[str]]


def _lost_writes(history: History, _scenario: Scenario) -> list[str]:
    lost = writes.lost(history)
    return [f"{lost} acknowledged blocks were lost"] if lost else []


RULES: Final[Mapping[str, Rule]] = {
    "two-writers": lambda history, _: service.double_writers(history),
    "lost-write": _lost_writes,
    "split-brain": lambda history, _: split_brain.split_brains(history),
    "minority": lambda history, _: votes.minority_fences(history),
    "unfenced": lambda history, _: votes.unfenced(history),
    "unexplained": explained.unexplained,
    "contradiction": consistency.contradictions,
}
"""Each returns a line for every time that a run has broken it.

- ``two-writers``: no two nodes serve the block device at one time.
- ``lost-write``: a write that was acknowledged is on the disk.
- ``split-brain``: no two groups without a common member decide at one time.
- ``minority``: a majority of the view has wanted each fence.
- ``unfenced``: nobody is removed, or taken over from, before the fence is confirmed.
- ``unexplained``: a node that is ejected alive has missed heartbeats for a cause that is known.
- ``contradiction``: what the history says fits together.
"""


def broken(history: History, scenario: Scenario) -> list[Broken]:
    """Return every rule that a run has broken, in the order of ``RULES``.

    Args:
        history: A run with the membership ``crunchbed``.
        scenario: As resolved for this run.
    """
    return [Broken(name, what) for name, rule in RULES.items() for what in rule(history, scenario)]
