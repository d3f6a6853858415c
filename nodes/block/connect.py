"""From an initiator's configuration to its transport."""

from __future__ import annotations

import selectors
from typing import Any

from nodes.block.iscsi_transport import IscsiSettings, IscsiTransport
from nodes.block.nbd_transport import NbdTransport
from nodes.block.pattern import BLOCK_BYTES
from nodes.block.transport import Endpoint, Reports, Transport
from nodes.daemon import Config


def iscsi_settings(name: str, index: int, settings: dict[str, Any]) -> IscsiSettings:
    """The session of node ``name``; ``settings`` are those of the scenario, in nanoseconds."""
    chap = settings["chap"]
    return IscsiSettings(
        initiator=name,
        index=index,
        login_timeout_ns=settings["login_timeout"],
        noop_out_interval_ns=settings["noop_out_interval"],
        noop_out_timeout_ns=settings["noop_out_timeout"],
        chap=None if chap is None else (chap["user"], chap["secret"]),
    )


def connect(config: Config, selector: selectors.BaseSelector, reports: Reports) -> Transport:
    """Begin to connect to the target that the configuration names.

    Raises:
        CrunchbedError: It failed at once.
        MissingRequirement: The transport's library is not installed.
    """
    endpoint = Endpoint(
        config["address"],
        config["port"],
        config["queue_depth"] * config["request_blocks"] * BLOCK_BYTES,
    )
    if config["transport"] == "iscsi":
        session = iscsi_settings(config["node"], config["index"], config["iscsi"])
        return IscsiTransport(endpoint, session, selector, reports)
    return NbdTransport(endpoint, config["nbd"]["timeout"], selector, reports)


def limit_ns(config: Config) -> int | None:
    """How long writes wait for a new connection before they fail; None for ever."""
    limit: int | None
    if config["transport"] == "iscsi":
        limit = config["iscsi"]["replacement_timeout"]
    else:
        limit = config["nbd"]["dead_conn_timeout"]
    return limit
