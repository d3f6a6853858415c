"""From an initiator's configuration to its transport."""

from __future__ import annotations

import selectors

from nodes.block.config import InitiatorConfig
from nodes.block.iscsi_transport import IscsiTransport
from nodes.block.nbd_transport import NbdTransport
from nodes.block.pattern import BLOCK_BYTES
from nodes.block.transport import Endpoint, Reports, Transport


def connect(
    config: InitiatorConfig, selector: selectors.BaseSelector, reports: Reports
) -> Transport:
    """Begin to connect to the target that the configuration names.

    Raises:
        CrunchbedError: It failed at once.
        MissingRequirement: The transport's library is not installed.
    """
    endpoint = Endpoint(
        config.address, config.port, config.queue_depth * config.request_blocks * BLOCK_BYTES
    )
    if config.transport == "iscsi":
        return IscsiTransport(endpoint, config.node, config.index, config.iscsi, selector, reports)
    return NbdTransport(endpoint, config.nbd.timeout, selector, reports)


def limit_ns(config: InitiatorConfig) -> int | None:
    """Return how long writes wait for a new connection before they fail; None for ever."""
    if config.transport == "iscsi":
        return config.iscsi.replacement_timeout
    return config.nbd.dead_conn_timeout
