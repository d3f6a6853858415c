"""What searches have found in the code, mended since: each schedule breaks no rule any more."""

from __future__ import annotations

import pytest

from crunchbed.experiments.search.schedule import searched
from crunchbed.experiments.search.trial import attempt
from crunchbed.scenario.loader import load

CHEAP: dict[str, object] = {
    "traffic.rate": 0,
    "block_io.dirty_rate": 50,
    "phases.recovery": "3s",
    "expect": [],
}
FOUND: dict[str, tuple[str, list[dict[str, object]]]] = {
    "a node whose questions for addresses are not answered was ejected for no known cause": (
        "partition",
        [
            {"kind": "loss", "target": "n3", "share": 0.9, "after": "1s", "for": "4s"},
            {"kind": "arp-expiry", "target": "n3", "after": "2s"},
        ],
    ),
    "a node that boots at once is fenced by its standby, here 3 s later, for no known cause": (
        "lost-quorum",
        [{"kind": "node-crash", "target": "n4", "after": "2s", "for": "100ms"}],
    ),
}


@pytest.mark.parametrize("found", FOUND)
def test_what_a_search_found_breaks_no_rule(found: str) -> None:
    name, faults = FOUND[found]
    tried = attempt(searched(load(name).with_overrides({**CHEAP, "faults": faults})), 1)
    assert tried.rules == set(), tried.broken
    assert tried.outcome.startswith("ejects ")
