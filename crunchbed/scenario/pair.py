"""Two cluster nodes that serve the block device in turn, in place of the storage host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BeforeValidator

from crunchbed.scenario.kinds import reject

if TYPE_CHECKING:
    from crunchbed.scenario.cross import Contradiction
    from crunchbed.scenario.schema import Scenario

_EXPECTED: Final = "two different cluster nodes such as [n4, n5], or []"
_INITIATORS: Final = 1


def _pair(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) not in (0, 2):
        reject(_EXPECTED)
    if len(set(map(str, value))) != len(value):
        reject(_EXPECTED)
    if not all(isinstance(n, str) and re.fullmatch(r"n[1-9]\d{0,3}", n, re.ASCII) for n in value):
        reject(_EXPECTED)
    return tuple(value)


Pair = Annotated[tuple[str, ...], BeforeValidator(_pair)]


def contradictions(scenario: Scenario) -> Iterator[Contradiction]:
    """Find what does not go together with the pair of this scenario."""
    pair, names = scenario.block_io.pair, scenario.node_names
    if not pair:
        if not scenario.fencing.confirm:
            yield "fencing.confirm", "true where block_io.pair is empty", "false"
        return
    shown = f"[{', '.join(pair)}]"
    if not set(pair) <= set(names):
        yield "block_io.pair", f"two of the cluster nodes n1 to {names[-1]}", shown
        return
    if len(names) < len(pair) + _INITIATORS:
        yield "block_io.pair", "a node beside the pair, which writes", shown
    crunch = scenario.crunch
    if crunch is not None and crunch.kind == "writeback" and crunch.target in pair:
        yield (
            "crunch.target",
            f"a node that writes, so none of block_io.pair {shown}",
            crunch.target,
        )
