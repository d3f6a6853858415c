"""``crunchbed policy``: switch the policy of a node while its cluster runs."""

from __future__ import annotations

import click

from crunchbed.cli.live_run import chosen_run, of_run
from crunchbed.cli.output import json_option, print_json
from crunchbed.live import runs
from crunchbed.scenario.kinds import require_known
from reserve_agent.contract.packets import POLICIES


@click.command()
@click.argument("node")
@click.argument("policy")
@json_option
@of_run
def policy(node: str, policy: str, as_json: bool, run_id: str | None) -> None:
    """Make NODE of a live run follow POLICY from the next packet on; no page is lost.

    NODE is a name such as n1, or all.

    \b
    Examples:
      crunchbed policy n1 memalloc
      crunchbed policy all none --run k3xq
      crunchbed policy all none --json | jq .nodes
    """  # noqa: D301 - \b is click's
    require_known(policy, POLICIES, "policy")
    run = chosen_run(run_id)
    names = runs.nodes_of(run) if node == "all" else [node]
    for name in names:
        if runs.is_held(run):
            runs.tell(run, "policy", target=name, policy=policy)
        else:
            runs.ask(run, name, "policy", policy=policy)
        if not as_json:  # one by one: should a later one refuse, these are known
            click.echo(f"{name} of run {run} follows {policy}")
    if as_json:
        print_json({"run": run, "nodes": names, "policy": policy})
