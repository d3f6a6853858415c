"""``shed``: what the switches keep from a node that is under memory pressure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, get_args

from pydantic import BeforeValidator

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import Contradiction
from crunchbed.scenario.kinds import RateText, SizeText
from crunchbed.scenario.section import Section
from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules import settings

MODES: Final[tuple[str, ...]] = get_args(settings.ShedMode)
OFF: Final = "off"
_KBIT: Final = 1000


class Shed(Section):
    """What switches do with packets of class ``other``, of which ``rate`` and ``burst`` pass."""

    mode: Annotated[str, kinds.choice(MODES)] = OFF
    rate: Annotated[int, kinds.rate("10kbit", "1Gbit"), RateText] = 1_000_000
    burst: Annotated[int, kinds.size("2KiB", "16MiB"), SizeText] = 16_384


def _by_mode(value: object) -> object:
    """Accept ``shed: drop`` as short for ``shed: {mode: drop}``."""
    return {"mode": value} if isinstance(value, str) else value


ShedSection = Annotated[Shed, BeforeValidator(_by_mode)]


def rules(shed: Shed) -> settings.Shed:
    """Return the controller's settings for this section."""
    return settings.Shed(
        mode=shed.mode,  # type: ignore[arg-type]
        rate_kbit=shed.rate // _KBIT,
        burst_kbit=shed.burst * 8 // _KBIT,
        classes=(PacketClass.OTHER,),
    )


def contradictions(shed: Shed, controller: str, switch: str) -> Iterator[Contradiction]:
    """Find what does not go together of ``shed``, ``cluster.controller``, ``cluster.switch``."""
    if controller == "none" and shed.mode != OFF:
        yield "shed.mode", "off where cluster.controller is none", shed.mode
    if controller != "none" and switch == "linux-bridge":
        yield (
            "cluster.controller",
            "none with cluster.switch linux-bridge, which takes no controller",
            controller,
        )
