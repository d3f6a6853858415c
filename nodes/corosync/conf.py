"""corosync.conf, written from our settings. Names and defaults are those of corosync.conf(5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nodes.corosync.config import CorosyncConfig

Setting = str | int | None

# The lowest, as the other heartbeat daemon has it: what is left of the processor is for the rest
# of the testbed. Left alone, corosync takes the highest there is.
_REALTIME_PRIORITY = 1

MOST_REALTIME = 8
"""Nodes up to which corosync runs in real time.

A token that all pass on, and join messages from everybody to everybody, cost more than in
proportion: many of them before all normal tasks would leave a small machine nothing for those, the
kernel's own included.
"""


def corosync_conf(config: CorosyncConfig) -> str:
    """The text of one node's file; it is the same on every node of a cluster."""
    totem = config.totem
    realtime = len(config.addresses) <= MOST_REALTIME
    lines = [
        *_block(
            "totem",
            {
                "version": 2,
                "cluster_name": config.cluster,
                "transport": "knet",
                "crypto_cipher": "none",
                "crypto_hash": "none",
                "token": totem.token,
                "token_coefficient": totem.token_coefficient,
                "token_retransmits_before_loss_const": totem.token_retransmits_before_loss_const,
                "join": totem.join,
                "consensus": totem.consensus,
            },
            # One port for all, by which the hooks know the packets; the addresses differ.
            *(
                _block("interface", {"linknumber": ring, "mcastport": config.port})
                for ring in range(config.rings)
            ),
        ),
        *_block(
            "system",
            # Its packets are judged by the hooks of the node's cgroup, which it would leave.
            {
                "move_to_root_cgroup": "no",
                "sched_rr": "yes" if realtime else "no",
                "priority": _REALTIME_PRIORITY if realtime else 0,
            },
        ),
        *_block(
            "logging",
            {"to_stderr": "yes", "to_syslog": "no", "to_logfile": "no", "timestamp": "hires"},
        ),
        *_block("quorum", {"provider": "corosync_votequorum"}),
        *_block("nodelist", {}, *_nodes(config)),
    ]
    return "\n".join(lines) + "\n"


def _nodes(config: CorosyncConfig) -> Iterator[list[str]]:
    for name, number in config.ids.items():
        addresses = {f"ring{ring}_addr": one for ring, one in enumerate(config.addresses[name])}
        yield _block("node", {"nodeid": number, "name": name, **addresses})


def _block(name: str, settings: Mapping[str, Setting], *inner: list[str]) -> list[str]:
    """A named block; a setting of None is left out."""
    body = [f"{key}: {value}" for key, value in settings.items() if value is not None]
    body += [line for block in inner for line in block]
    return [f"{name} {{", *(f"  {line}" for line in body), "}"]
