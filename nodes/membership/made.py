"""From a node's settings to its part in the protocol, with a fresh membership and detector."""

from __future__ import annotations

import random

from nodes.membership.cluster import Cluster
from nodes.membership.detectors.make import make_detector
from nodes.membership.detectors.settings import LifeguardSettings, SwimSettings
from nodes.membership.membership import Membership
from nodes.membership.protocol import HeartbeatProtocol
from nodes.membership.roster import Roster
from nodes.membership.settings import HeartbeatSettings
from nodes.membership.views import Member


def protocol_of(
    settings: HeartbeatSettings, now_ns: int, roster: Roster, cluster: Cluster | None
) -> HeartbeatProtocol:
    """Return the protocol of a node that boots now; ``cluster``: see ``HeartbeatNode``."""
    settled = cluster is not None and cluster.settled and not settings.joining
    probing = isinstance(settings.detector, SwimSettings | LifeguardSettings)
    ttl_ns = settings.misses * settings.interval_ns
    membership = Membership(
        Member(settings.node, settings.incarnation),
        roster.order,
        joining=settings.joining,
        fence_timeout_ns=settings.fence_timeout_ns,
        joiner_ttl_ns=ttl_ns,
        # A node that probes says nothing for long; one that suspects repeats it in every interval.
        vote_ttl_ns=max(ttl_ns, 2 * settings.interval_ns) if probing else None,
        settled_ns=now_ns if settled else None,
    )
    detector = make_detector(
        settings.detector,
        settings.node,
        interval_ns=settings.interval_ns,
        misses=settings.misses,
        grace_ns=settings.grace_ns,
        chance=random.Random(f"{settings.node} {settings.incarnation}"),  # noqa: S311
    )
    return HeartbeatProtocol(
        roster, membership, detector, now_ns, in_bytes=cluster is None, settled=settled
    )
