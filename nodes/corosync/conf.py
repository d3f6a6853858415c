"""corosync.conf, written from our settings. Names and defaults are those of corosync.conf(5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from nodes.corosync.config import CorosyncSettings

Setting = str | int | None

_SYSTEM: Mapping[str, Setting] = {
    # The hooks of the node's cgroup judge corosync's packets: it must not leave the cgroup.
    "move_to_root_cgroup": "no",
    # What it sets by itself is the highest real-time priority; it keeps that of who starts it.
    "sched_rr": "no",
}


def corosync_conf(config: CorosyncSettings) -> str:
    """Return the text of one node's file; it is the same on every node of a cluster."""
    lines = [
        *_totem(config),
        *_block("system", _SYSTEM),
        *_block(
            "logging",
            {"to_stderr": "yes", "to_syslog": "no", "to_logfile": "no", "timestamp": "hires"},
        ),
        *_block("quorum", _quorum(config)),
        *_block("nodelist", {}, *_nodes(config)),
    ]
    return "\n".join(lines) + "\n"


def _totem(config: CorosyncSettings) -> list[str]:
    settings: dict[str, Setting] = {
        "version": 2,
        "cluster_name": config.cluster,
        "transport": "knet",
        "crypto_cipher": "none",
        "crypto_hash": "none",
        **asdict(config.totem),
    }
    # One port for all rings, by which the hooks know the packets; the addresses differ.
    interfaces = (
        _block("interface", {"linknumber": ring, "mcastport": config.port})
        for ring in range(config.rings)
    )
    return _block("totem", settings, *interfaces)


def _quorum(config: CorosyncSettings) -> dict[str, Setting]:
    """Return votequorum's settings; ``two_node`` brings ``wait_for_all`` with it."""
    two_node = {"two_node": 1} if config.two_node else {}
    return {"provider": "corosync_votequorum", **two_node}


def _nodes(config: CorosyncSettings) -> Iterator[list[str]]:
    for name, number in config.ids.items():
        addresses = {f"ring{ring}_addr": one for ring, one in enumerate(config.addresses[name])}
        yield _block("node", {"nodeid": number, "name": name, **addresses})


def _block(name: str, settings: Mapping[str, Setting], *inner: list[str]) -> list[str]:
    """Return the lines of a named block; a setting of None is left out."""
    body = [f"{key}: {value}" for key, value in settings.items() if value is not None]
    body += [line for block in inner for line in block]
    return [f"{name} {{", *(f"  {line}" for line in body), "}"]
