"""Whatever happens, heartbeats and membership do what they did before they counted as they go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.unit.heartbeat_sequences import DETECTORS, digests

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
