"""The pair that serves the block device: what a scenario may say of it, and what follows."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from crunchbed.backends.common import configs as common
from crunchbed.backends.namespaces import configs
from crunchbed.run.plan import draw
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from nodes.block.target import TargetSettings
from reserve_agent.config_files import build
from reserve_agent.errors import BadInput
from topologies.node import ClusterNode, NodeLink

HEAD = "name: x\nclaim: it holds\ncluster: {nodes: 5}\n"


def loaded(text: str, directory: Path) -> Scenario:
    (directory / "x.yaml").write_text(HEAD + text)
    return load_file(directory / "x.yaml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("block_io: {pair: n4}", "block_io.pair: expected two different cluster nodes"),
        ("block_io: {pair: [n4]}", "block_io.pair: expected two different cluster nodes"),
        ("block_io: {pair: [n4, n4]}", "block_io.pair: expected two different cluster nodes"),
        ("block_io: {pair: [n4, storage]}", "block_io.pair: expected two different cluster nodes"),
        ("block_io: {pair: [n4, 5]}", "block_io.pair: expected two different cluster nodes"),
        ("block_io: {pair: [n4, n5, n1]}", "block_io.pair: expected two different cluster nodes"),
        (
            "block_io: {pair: [n5, n6]}",
            "block_io.pair: expected two of the cluster nodes n1 to n5, got [n5, n6]",
        ),
        (
            "fencing: {confirm: false}",
            "fencing.confirm: expected true where block_io.pair is empty, got false",
        ),
        ("fencing: {confirm: maybe}", "fencing.confirm: expected true or false"),
        (
            "crunch: {kind: writeback, target: n5}\nblock_io: {pair: [n4, n5]}",
            "crunch.target: expected a node that writes, so none of block_io.pair [n4, n5], got n5",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as raised:
        loaded(text, tmp_path)
    assert complaint in str(raised.value)
    assert str(raised.value).count("\n") == 0
    assert "x.yaml:" in str(raised.value)
    assert raised.value.exit_code == 2


def test_somebody_must_be_left_to_write(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"block_io\.pair: expected a node beside the pair"):
        load("control").with_overrides({"cluster.nodes": 2, "block_io.pair": ["n1", "n2"]})


def test_who_serves_does_not_write(tmp_path: Path) -> None:
    scenario = loaded("block_io: {pair: [n5, n4]}", tmp_path)
    assert scenario.block_io.pair == ("n5", "n4")
    assert scenario.writers == ("n1", "n2", "n3")
    assert load("control").writers == ("n1", "n2", "n3")


def test_a_writeback_crunch_hits_one_that_writes(tmp_path: Path) -> None:
    crunch = "crunch: {kind: writeback, target: random}\nblock_io: {pair: [n4, n5]}"
    scenario = loaded(crunch, tmp_path)
    plans = [draw(scenario, seed) for seed in range(30)]
    assert {plan.target for plan in plans if plan} == {"n1", "n2", "n3"}


def test_the_address_is_the_first_that_no_node_has(tmp_path: Path) -> None:
    nodes = {
        f"n{number}": ClusterNode(f"n{number}", "", 1, (NodeLink("eth0", "", f"10.77.0.{number}"),))
        for number in range(1, 6)
    }
    nodes["storage"] = ClusterNode("storage", "", 1, (NodeLink("eth0", "", "10.77.0.254"),))
    scenario = loaded("block_io: {pair: [n4, n5]}", tmp_path)
    assert common.portal(scenario, nodes) == "10.77.0.6"
    assert common.portal(load("control"), nodes) == "10.77.0.254"
    config = configs.service(scenario, tmp_path, nodes, "n5", 2)
    assert (config["joining"], config["confirm"]) == (True, True)
    settings = build(orjson.loads(orjson.dumps(config))["target"], TargetSettings)
    assert settings == common.target(scenario, tmp_path, "10.77.0.6", "n5")
