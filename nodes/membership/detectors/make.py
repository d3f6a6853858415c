"""From settings to the detector that has them."""

from __future__ import annotations

import random

from nodes.membership.detector import Detector
from nodes.membership.detectors.fixed import FixedDeadline
from nodes.membership.detectors.lifeguard import Lifeguard
from nodes.membership.detectors.phi import PhiAccrual
from nodes.membership.detectors.settings import (
    FixedSettings,
    LifeguardSettings,
    PhiSettings,
    Settings,
    SwimSettings,
)
from nodes.membership.detectors.swim import Swim


def make_detector(
    settings: Settings,
    me: str,
    *,
    interval_ns: int,
    misses: int,
    grace_ns: int,
    chance: random.Random,
) -> Detector:
    """The detector of node ``me``, which watches nobody yet.

    Args:
        settings: of one of the kinds.
        me: this node.
        interval_ns: between two heartbeats or probes of a node.
        misses: what decides where ``settings`` leave it to that.
        grace_ns: how long a newly watched peer may take until it is first heard.
        chance: draws whatever is left to chance.
    """
    match settings:
        case FixedSettings():
            return FixedDeadline(
                interval_ns,
                misses,
                grace_ns,
                deadtime_ns=settings.deadtime_ns,
                warntime_ns=settings.warntime_ns,
                initdead_ns=settings.initdead_ns,
            )
        case PhiSettings():
            return PhiAccrual(
                interval_ns,
                grace_ns,
                threshold=settings.threshold,
                max_sample_size=settings.max_sample_size,
                min_std_deviation_ns=settings.min_std_deviation_ns,
                acceptable_heartbeat_pause_ns=settings.acceptable_heartbeat_pause_ns,
                first_heartbeat_estimate_ns=settings.first_heartbeat_estimate_ns,
            )
        case LifeguardSettings():
            return Lifeguard(me, settings, grace_ns, chance)
        case SwimSettings():
            return Swim(me, settings, grace_ns, chance)
