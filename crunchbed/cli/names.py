"""What a word or a list of words on the command line stands for."""

from __future__ import annotations

from crunchbed.expect import parse
from crunchbed.scenario.kinds import require_known
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.packets import POLICIES
from reserve_agent.errors import BadInput


def names_of(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """Return the names in ``text``; BadInput for one that is not ``known``, or there twice."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        require_known(name, known, what)
    if len(set(names)) != len(names):
        raise BadInput(f"expected each {what} once, got {text}")
    return names


def seed_range(text: str | None, first: int, repeats: int) -> range:
    """Return the seeds of a comparison: ``--seeds 1..5``, or ``--repeats`` from ``--seed`` on."""
    if text is None:
        return range(first, first + repeats)
    if (first, repeats) != (1, 1):
        raise BadInput("--seeds: expected instead of --seed and --repeats, got both")
    low, dots, high = text.partition("..")
    high = high if dots else low
    numbers = [int(one) if one.isascii() and one.isdigit() else -1 for one in (low, high)]
    if not 0 <= numbers[0] <= numbers[1] < min(2**31, numbers[0] + 1000):
        raise BadInput(f"--seeds: expected A..B such as 1..5, at most 1000 of them, got {text!r}")
    return range(numbers[0], numbers[1] + 1)


def compared(scenario: Scenario, policies: str | None) -> list[str]:
    """Return the policies to be compared: those in ``policies``, separated by commas.

    Without it: those that the scenario's expectations name, and its own, so that each expectation
    can be judged; where they name none, they are of any policy: ``none`` and ``memalloc``.
    """
    if policies is not None:
        return names_of(policies, POLICIES, "policy")
    named = frozenset[str]().union(*(parse(text).policies for text in scenario.expect))
    chosen = {scenario.policy, *(named or ("none", "memalloc"))}
    return [policy for policy in POLICIES if policy in chosen]
