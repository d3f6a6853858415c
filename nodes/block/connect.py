"""From an initiator's configuration to its transport."""

from __future__ import annotations

import selectors

from nodes.block.config import InitiatorConfig, IscsiConfig
from nodes.block.iscsi_transport import IscsiSettings, IscsiTransport
from nodes.block.nbd_transport import NbdTransport
from nodes.block.pattern import BLOCK_BYTES
from nodes.block.transport import Endpoint, Reports, Transport


def iscsi_settings(name: str, index: int, config: IscsiConfig) -> IscsiSettings:
    """Return the session of the node called ``name``."""
    return IscsiSettings(
        initiator=name,
        index=index,
        login_timeout_ns=config.login_timeout,
        noop_out_interval_ns=config.noop_out_interval,
        noop_out_timeout_ns=config.noop_out_timeout,
        chap=None if config.chap is None else (config.chap.user, config.chap.secret),
    )


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
        session = iscsi_settings(config.node, config.index, config.iscsi)
        return IscsiTransport(endpoint, session, selector, reports)
    return NbdTransport(endpoint, config.nbd.timeout, selector, reports)


def limit_ns(config: InitiatorConfig) -> int | None:
    """Return how long writes wait for a new connection before they fail; None for ever."""
    if config.transport == "iscsi":
        return config.iscsi.replacement_timeout
    return config.nbd.dead_conn_timeout
