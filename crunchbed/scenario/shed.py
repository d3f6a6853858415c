"""``shed``: what the switches keep from a node that is under memory pressure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, get_args

from pydantic import BeforeValidator

from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import RateText, SizeText
from crunchbed.scenario.section import Section
from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules import settings

if TYPE_CHECKING:
    from crunchbed.scenario.cross import Contradiction
    from crunchbed.scenario.schema import Scenario

CONTROLLERS: Final = ("none", "openflow")
MODES: Final[tuple[str, ...]] = get_args(settings.ShedMode)
OFF: Final = "off"
_KBIT: Final = 1000


class Shed(Section):
    """What becomes of packets of class ``other`` to it; ``rate`` and ``burst`` still pass."""

    mode: Annotated[str, kinds.choice(MODES)] = OFF
    rate: Annotated[int, kinds.rate("10kbit", "1Gbit"), RateText] = 1_000_000
    burst: Annotated[int, kinds.size("2KiB", "16MiB"), SizeText] = 16_384


def _by_mode(value: object) -> object:
    """``shed: drop`` is short for ``shed: {mode: drop}``."""
    return {"mode": value} if isinstance(value, str) else value


ShedSection = Annotated[Shed, BeforeValidator(_by_mode)]


def rules(shed: Shed) -> settings.Shed:
    """The same for the controller."""
    return settings.Shed(
        mode=shed.mode,  # type: ignore[arg-type]
        rate_kbit=shed.rate // _KBIT,
        burst_kbit=shed.burst * 8 // _KBIT,
        classes=(PacketClass.OTHER,),
    )


def contradictions(scenario: Scenario) -> Iterator[Contradiction]:
    """Yield what is wrong between controller, switch and shedding."""
    controller = scenario.cluster.controller
    if controller == "none" and scenario.shed.mode != OFF:
        yield "shed.mode", "off where cluster.controller is none", scenario.shed.mode
    if controller != "none" and scenario.cluster.switch == "linux-bridge":
        yield (
            "cluster.controller",
            "none with cluster.switch linux-bridge, which takes no controller",
            controller,
        )
