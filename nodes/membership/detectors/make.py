"""From a detector's settings to the detector, of which a daemon loads no other kind."""

from __future__ import annotations

import random
from dataclasses import asdict

from nodes.membership.detector import Detector
from nodes.membership.detectors.settings import (
    FixedSettings,
    LifeguardSettings,
    PhiSettings,
    Settings,
    SwimSettings,
)


def make_detector(
    settings: Settings,
    me: str,
    *,
    interval_ns: int,
    misses: int,
    grace_ns: int,
    chance: random.Random,
) -> Detector:
    """Return the detector of node ``me``, which watches nobody yet.

    Args:
        settings: Its kind and its parameters, which have the names of the detector's own.
        me: This node.
        interval_ns: Time between two heartbeats or probes of a node.
        misses: Misses in a row that make a suspicion, where ``settings`` do not say otherwise.
        grace_ns: How long a newly watched peer may take until it is first heard.
        chance: Draws whatever is left to chance.
    """
    match settings:
        case FixedSettings():
            from nodes.membership.detectors.fixed import FixedDeadline

            return FixedDeadline(interval_ns, misses, grace_ns, **asdict(settings))
        case PhiSettings():
            from nodes.membership.detectors.phi import PhiAccrual

            return PhiAccrual(interval_ns, grace_ns, **asdict(settings))
        case LifeguardSettings():
            from nodes.membership.detectors.lifeguard import Lifeguard

            return Lifeguard(me, settings, grace_ns, chance)
        case SwimSettings():
            from nodes.membership.detectors.swim import Swim

            return Swim(me, settings, grace_ns, chance)
