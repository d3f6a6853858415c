"""Whatever happens, heartbeats and membership do what they did before they counted as they go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from nodes.membership.membership import Membership
from nodes.membership.views import Member
from tests.unit.heartbeat_sequences import DETECTORS, digests
from tests.unit.test_membership import NAMES, VIEW, joins, says, without

KNOWN: Final = json.loads((Path(__file__).parent / "data" / "heartbeat_sequences.json").read_text())


@pytest.mark.parametrize("kind", DETECTORS)
def test_some_random_sequences_end_as_they_did(kind: str) -> None:
    found = dict(digests(kind, alone_most=25, networks_most=5))
    assert found == {name: KNOWN[name] for name in found}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DETECTORS)
def test_thousands_of_random_sequences_end_as_they_did(kind: str) -> None:
    found = dict(digests(kind, alone_most=400, networks_most=40))
    assert found == {name: digest for name, digest in KNOWN.items() if f" {kind} " in name}


def test_a_lower_suspect_that_has_booted_again_does_not_have_to_leave_first() -> None:
    """What no random sequence has shown: its wish to join is old, and it stays a member as yet."""
    n2 = Membership(Member("n2", 0), NAMES, joining=False, fence_timeout_ns=1000, joiner_ttl_ns=50)
    n2.suspect("n1")
    n2.suspect("n5")

    def hear(at_ns: int, follows: str) -> None:
        for name in ("n3", "n4"):
            n2.heard(name, says("n1", "n5", follows=follows), at_ns)

    hear(1, "n2")
    hear(2, "n3")
    assert n2.heard("n1", joins(1), 3) == [], "too few follow for it to be admitted"
    n2.fence_answer("n5", 1, True, 100)
    hear(101, "n2")
    assert n2.view == without(VIEW, "n5")
