"""The initiator's configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.block.writeback import WritebackSettings


@dataclass(frozen=True, kw_only=True)
class IscsiConfig:
    """An iSCSI session, by open-iscsi's names and with its defaults; times in nanoseconds.

    Attributes:
        login_timeout: From the first SYN to the login's end, at most.
        noop_out_interval: Silence until a NOP-Out asks; 0 never.
        noop_out_timeout: Silence after that until the connection is given up; 0 never.
        replacement_timeout: How long writes wait for a new connection; None for ever.
        chap: User and secret, where the target wants them.
    """

    login_timeout: int = 15_000_000_000
    noop_out_interval: int = 5_000_000_000
    noop_out_timeout: int = 5_000_000_000
    replacement_timeout: int | None = None
    chap: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class NbdConfig:
    """An NBD connection, by the names of the kernel's driver; times in nanoseconds.

    Attributes:
        timeout: How long a request may go without its answer; 0 for ever.
        dead_conn_timeout: How long writes wait for a new connection; None for ever.
    """

    timeout: int
    dead_conn_timeout: int | None


@dataclass(frozen=True, kw_only=True)
class InitiatorConfig(WritebackSettings):
    """Settings of one initiator.

    Attributes:
        index: The node's index, by which its blocks are known.
        address: IPv4 address of the target.
        port: Its TCP port.
        iscsi: The session, where that is the transport; ``nbd`` likewise.
        pins: Directory of the node's pinned pool.
        control: Unix socket to make, over which the run commands bursts.
        events: The agent's Unix socket; None: there is no agent.
    """

    node: str
    index: int
    address: str
    port: int
    iscsi: IscsiConfig
    nbd: NbdConfig
    pins: Path
    control: Path
    events: Path | None = None
