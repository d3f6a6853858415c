"""``detector:`` of a scenario: which failure detector, with its parameters by published names.

A parameter that is left out is its published default, scaled by ``heartbeat.interval``; the
defaults and where they are from: ``nodes/membership/detectors/settings.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import Contradiction
from crunchbed.scenario.kinds import DurationText
from crunchbed.scenario.section import Section
from crunchbed.scenario.units import format_duration
from nodes.membership.datagram import MAX_NODES
from nodes.membership.detectors.settings import KINDS, Settings

Duration = Annotated[int, kinds.duration("1us"), DurationText]
Times = Annotated[int, kinds.whole("", 1, 100)]


class DetectorSection(Section):
    """The base of every kind of detector.

    A parameter that a scenario leaves out is left out of its resolved form too: ``--set
    detector.kind=phi`` would otherwise meet the parameters of another kind.
    """

    @model_serializer(mode="wrap")
    def _without_what_was_left_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if value is not None}


class FixedDetector(DetectorSection):
    """Linux-HA's: dead after a fixed time of silence."""

    kind: Literal["fixed"] = "fixed"
    keepalive: Duration | None = None
    warntime: Duration | None = None
    deadtime: Duration | None = None
    initdead: Duration | None = None


class PhiDetector(DetectorSection):
    """Phi accrual (Hayashibara 2004), by Akka's names."""

    kind: Literal["phi"]
    heartbeat_interval: Duration | None = None
    threshold: Annotated[float, kinds.above_zero(300)] | None = None
    max_sample_size: Annotated[int, kinds.whole("intervals", 1, 100_000)] | None = None
    min_std_deviation: Duration | None = None
    acceptable_heartbeat_pause: Annotated[int, kinds.duration("0s"), DurationText] | None = None
    first_heartbeat_estimate: Duration | None = None


class SwimDetector(DetectorSection):
    """SWIM (Das 2002)."""

    kind: Literal["swim"]
    protocol_period: Duration | None = None
    ping_timeout: Duration | None = None
    ping_req_nodes: Annotated[int, kinds.whole("nodes", 0, 31)] | None = None
    suspicion_mult: Times | None = None
    retransmit_mult: Times | None = None


class LifeguardDetector(DetectorSection):
    """SWIM with Lifeguard (Dadgar 2018), by memberlist's names."""

    kind: Literal["lifeguard"]
    probe_interval: Duration | None = None
    probe_timeout: Duration | None = None
    indirect_checks: Annotated[int, kinds.whole("nodes", 0, 31)] | None = None
    suspicion_mult: Times | None = None
    suspicion_max_timeout_mult: Times | None = None
    awareness_max_multiplier: Times | None = None
    retransmit_mult: Times | None = None
    gossip_interval: Duration | None = None
    gossip_nodes: Annotated[int, kinds.whole("nodes", 1, 31)] | None = None


ALL_TO_ALL: Final = ("fixed", "phi")
"""Detectors by which every node sends a heartbeat to every other one."""
AnyDetector = FixedDetector | PhiDetector | SwimDetector | LifeguardDetector
Detector = Annotated[AnyDetector, Field(discriminator="kind")]
MODELS: Final[Mapping[str, type[DetectorSection]]] = {
    "fixed": FixedDetector,
    "phi": PhiDetector,
    "swim": SwimDetector,
    "lifeguard": LifeguardDetector,
}


def settings(section: AnyDetector, interval: int) -> Settings:
    """The detector's settings, with every default, scaled by ``heartbeat.interval``, filled in."""
    model = KINDS[section.kind]
    known = {field.name for field in fields(model)}
    given: dict[str, Any] = {}
    for key in type(section).model_fields:
        # A time's unit is in its name; the period goes by heartbeat.interval alone.
        name = f"{key}_ns" if f"{key}_ns" in known else key
        value = getattr(section, key)
        if name in known and value is not None:
            given[name] = value
    return model.preset(interval, **given)


def scale(section: AnyDetector, interval: int) -> str:
    """One phrase for reports: the detector, and at what scale its published defaults are."""
    name, published_ns = KINDS[section.kind].published
    share = published_ns / interval
    return f"detector {section.kind}: {name} is {published_ns / 1e9:g} s / {share:.3g}"


def contradictions(section: AnyDetector, interval: int, nodes: int) -> Iterator[Contradiction]:
    """Find what does not go together in ``detector``, with ``heartbeat.interval`` or the nodes."""
    if nodes > MAX_NODES and section.kind in ALL_TO_ALL:
        yield (
            "detector.kind",
            f"swim or lifeguard with more than {MAX_NODES} nodes: by {section.kind} each hears all "
            f"others, {nodes * (nodes - 1):,} heartbeats in {format_duration(interval)}",
            section.kind,
        )
    period = KINDS[section.kind].published[0]
    given = getattr(section, period)
    if given is not None and given != interval:
        expected = f"heartbeat.interval ({format_duration(interval)}), which it is another name of"
        yield f"detector.{period}", expected, format_duration(given)
    if isinstance(section, FixedDetector):
        yield from _fixed(section, interval)
    for key in ("ping_timeout", "probe_timeout"):
        timeout = getattr(section, key, None)
        if timeout is not None and timeout >= interval:
            expected = f"less than {period} ({format_duration(interval)})"
            yield f"detector.{key}", expected, format_duration(timeout)


def _fixed(section: FixedDetector, interval: int) -> Iterator[Contradiction]:
    deadtime, warntime = section.deadtime, section.warntime
    if deadtime is not None and deadtime < 2 * interval:
        expected = f"at least two intervals ({format_duration(2 * interval)})"
        yield "detector.deadtime", expected, format_duration(deadtime)
    if deadtime is not None and warntime is not None and warntime >= deadtime:
        expected = f"less than detector.deadtime ({format_duration(deadtime)})"
        yield "detector.warntime", expected, format_duration(warntime)
