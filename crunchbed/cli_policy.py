"""``crunchbed policy``: switch the policy of a node while its cluster runs."""

from __future__ import annotations

import os

import click

from crunchbed import live
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.errors import BadInput, MissingRequirement
from reserve_agent.policies import POLICIES


@click.command()
@click.argument("node")
@click.argument("policy")
@click.option("--run", "run_id", metavar="ID", help="Which run, where several are going on.")
def policy(node: str, policy: str, run_id: str | None) -> None:
    """Make NODE of a live run follow POLICY from the next packet on; no page is lost.

    NODE is a name such as n1, or all.

    \b
    Examples:
      crunchbed policy n1 memalloc
      crunchbed policy all none --run k3xq
    """  # noqa: D301 - \b is click's
    if policy not in POLICIES:
        hint = did_you_mean(policy, POLICIES)
        raise BadInput(f"unknown policy {policy!r}{hint}; known: {', '.join(POLICIES)}")
    if os.geteuid() != 0:
        raise MissingRequirement("this needs root: the agents answer to root only")
    run = live.choose_run(run_id)
    for name in live.nodes_of(run) if node == "all" else [node]:
        live.ask(run, name, "policy", policy=policy)
        click.echo(f"{name} of run {run} follows {policy}")
