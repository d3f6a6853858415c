"""The pure parts of a run: what a seed decides, and what agents and daemons are told."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from crunchbed.backends.common import configs as common
from crunchbed.backends.namespaces import configs
from crunchbed.run.plan import Burst, Plan, draw, draw_all
from crunchbed.run.world import Flood
from crunchbed.scenario.loader import load, shipped
from crunchbed.scenario.schema import Scenario
from nodes.heartbeat.config import HeartbeatConfig
from reserve_agent.config import AgentConfig
from reserve_agent.config_files import read_config, write_config
from reserve_agent.contract.packets import (
    MAX_RULES,
    MAX_WINDOWS,
    POLICIES,
    SOCK_MEMALLOC,
    SOCK_WRITEBACK,
    PacketClass,
    Policy,
)
from reserve_agent.errors import BadInput
from tests.unit.test_supervisor import live_run
from topologies.node import ClusterNode, NodeLink

SECOND = 1_000_000_000
NODES = {
    name: ClusterNode(
        name, f"k3xq{name}", 100 + number, (NodeLink("eth0", f"port{name}", f"10.77.0.{number}"),)
    )
    for number, name in enumerate(("n1", "n2", "n3", "storage"), 1)
}


def timed(**keys: object) -> Scenario:
    """A node is hit 400 times for 50 microseconds, unless told otherwise."""
    crunch = {"kind": "timed", "count": 400, "length": "50us", "every": "10ms"}
    return load("control").with_overrides({"crunch": {**crunch, **keys}})


# --- plan


def test_a_scenario_without_a_crunch_has_no_plan() -> None:
    assert draw(load("control"), 1) is None


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_same_seed_draws_the_same(name: str) -> None:
    scenario = load(name)
    before = random.getstate()
    assert draw(scenario, 7) == draw(scenario, 7)
    assert random.getstate() == before, "nobody else's dice"


def test_another_seed_draws_another_crunch() -> None:
    scenario = timed(target="random", jitter="100ms")
    plans = [plan for plan in (draw(scenario, seed) for seed in range(30)) if plan]
    assert len({plan.delay_ns for plan in plans}) > 25
    assert len({plan.windows for plan in plans}) == 30
    assert {plan.target for plan in plans} == {"n1", "n2", "n3"}


def test_every_policy_meets_the_same_crunch() -> None:
    scenario = load("writeback-crunch")
    plans = {draw(scenario.with_overrides({"policy": policy}), 3) for policy in POLICIES}
    assert len(plans) == 1


def test_a_burst_is_as_requested() -> None:
    plan = draw(load("writeback-crunch"), 1)
    assert plan is not None
    assert (plan.kind, plan.target, plan.windows) == ("writeback", "n1", ())
    assert plan.burst == Burst(pages=12000, rate=100_000_000)
    assert 0 <= plan.delay_ns <= 200_000_000
    assert plan.requested == {"pages": 12000, "rate": 100_000_000}


def test_a_flood_is_as_requested() -> None:
    flood = {"kind": "flood", "rate": 30_000, "duration": "2s", "size": "1KiB", "port": 9100}
    plan = draw(load("control").with_overrides({"crunch": flood}), 1)
    assert plan is not None
    assert plan.flood == Flood(rate=30_000, duration_ns=2 * SECOND, size=1024, port=9100)
    assert plan.requested == {"rate": 30_000, "seconds": 2.0}


@pytest.mark.parametrize(
    ("depth", "level"), [(0, 256), (0.5, 128), (1, 0), (0.25, 192), (0.999, 0)]
)
def test_depth_says_what_is_left_of_the_reserve(depth: float, level: int) -> None:
    plan = draw(timed(depth=depth), 1)
    assert plan is not None
    assert {pages for _, _, pages in plan.windows} == {level}
    asked = {"windows": 400, "level_pages": level, "pressure_seconds": 400 * 50e-6}
    assert plan.requested == pytest.approx(asked)


def test_windows_take_several_depths_in_turn() -> None:
    plan = draw(timed(depth=[0, 0.5, 1], count=4), 1)
    assert plan is not None
    assert [pages for _, _, pages in plan.windows] == [256, 128, 0, 256]
    assert plan.requested["level_pages"] == [256, 128, 0]


def test_each_window_lies_in_its_own_period() -> None:
    plan = draw(timed(count=50, length="3ms", every="10ms"), 11)
    assert plan is not None
    assert len(plan.windows) == 50
    for index, (start, end, _) in enumerate(plan.windows):
        assert end - start == 3_000_000
        assert index * 10_000_000 <= start
        assert end <= (index + 1) * 10_000_000


def test_lengths_are_drawn_with_as_many_in_each_decade() -> None:
    plan = draw(timed(length="50us", longest="5ms"), 3)
    assert plan is not None
    lengths = [end - start for start, end, _ in plan.windows]
    assert min(lengths) >= 50_000
    assert max(lengths) <= 5_000_000
    assert 140 < sum(length < 500_000 for length in lengths) < 260


def test_windows_without_slack_join_and_do_not_overlap() -> None:
    plan = draw(timed(count=3, length="10ms", every="10ms", jitter="0s"), 1)
    assert plan is not None
    assert plan.delay_ns == 0
    times = [(start, end) for start, end, _ in plan.windows]
    assert times == [(0, 10_000_000), (10_000_000, 20_000_000), (20_000_000, 30_000_000)]


def test_the_hooks_have_room_for_the_longest_plan() -> None:
    plan = draw(timed(count=MAX_WINDOWS, every="1ms"), 1)
    assert plan is not None
    assert len(plan.windows) == MAX_WINDOWS


def crowd(**keys: object) -> list[Plan]:
    crunch = {"kind": "timed", "count": 2, "length": "1ms", "every": "10ms", **keys}
    return draw_all(load("control").with_overrides({"cluster.nodes": 10, "crunch": crunch}), 3)


def test_many_nodes_have_the_crunch_one_after_the_other_from_the_target_on() -> None:
    plans = crowd(target="n9", share=0.35, apart="100ms", jitter="50ms")
    assert [plan.target for plan in plans] == ["n9", "n10", "n1", "n2"]
    assert [plan.apart_ns for plan in plans] == [0, 100_000_000, 200_000_000, 300_000_000]
    assert len({plan.delay_ns for plan in plans}) == 1
    assert len({plan.windows for plan in plans}) == 4, "each has windows of its own"
    assert plans[0] == crowd(target="n9", jitter="50ms")[0]
    assert len(crowd(share=0.01)) == 1


def test_many_nodes_that_are_drawn_are_different_ones() -> None:
    plans = crowd(target="random", share=1)
    assert sorted(plan.target for plan in plans) == sorted(f"n{n}" for n in range(1, 11))
    assert {plan.apart_ns for plan in plans} == {0}
    assert plans[0] == crowd(target="random")[0], "who is first does not depend on the share"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"share": 0}, "crunch.share: expected a number above 0, at most 1, got 0"),
        (
            {"share": 1, "apart": "7s"},
            "crunch.apart: expected (nodes - 1) x apart within phases.inject (6s), "
            "got 3 nodes that need 14s",
        ),
        (
            {"share": 1, "apart": "2s", "count": 3, "every": "1s"},
            "crunch.count: expected jitter + count x every within phases.inject (6s) "
            "less the 4s to the last node, got 3 windows that need 3s",
        ),
    ],
)
def test_many_nodes_need_the_time_of_all(keys: dict[str, object], expected: str) -> None:
    with pytest.raises(BadInput, match=re.escape(expected)):
        timed(**keys)


# --- configs


def scenario(**overrides: object) -> Scenario:
    return load("writeback-crunch").with_overrides(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_one_of_the_hooks(policy: str) -> None:
    assert configs.hook_settings(scenario(policy=policy)).policy.name.lower() == policy


@pytest.mark.parametrize(
    ("memalloc", "flags"),
    [
        (["block-io"], SOCK_WRITEBACK | SOCK_MEMALLOC),
        (["heartbeat"], SOCK_WRITEBACK),
        ([], SOCK_WRITEBACK),
        (["block-io", "heartbeat"], SOCK_WRITEBACK | SOCK_MEMALLOC),
    ],
)
def test_the_initiator_is_marked_by_rule_and_heartbeats_ask(
    memalloc: list[str], flags: int
) -> None:
    chosen = scenario(memalloc=memalloc)
    block, heartbeat = configs.hook_settings(chosen).rules
    assert (block.port, block.protocol, block.cls) == (10809, 6, PacketClass.BLOCK_IO)
    assert block.flags == flags
    assert (heartbeat.port, heartbeat.protocol, heartbeat.cls) == (7405, 17, PacketClass.HEARTBEAT)
    assert heartbeat.flags == 0, "the heartbeat daemon asks by setsockopt"
    asked = common.heartbeat(chosen, NODES, "n1", 0)["memalloc"]
    assert asked == ("heartbeat" in memalloc)
    assert len(configs.hook_settings(chosen).rules) <= MAX_RULES


def test_an_agents_file_says_what_it_was_made_of(tmp_path: Path) -> None:
    run = replace(live_run(tmp_path), scenario=scenario())
    config = configs.agent(run, NODES["n2"], tmp_path / "cgroup", None)
    file = tmp_path / "agent.json"
    write_config(file, config)
    assert read_config(file, AgentConfig) == config
    assert (config.node, config.netns_pid, config.interfaces) == ("n2", 102, ("eth0",))
    assert (config.pages, config.clean, config.reserve) == (16384, 8192, 256)
    assert config.settings.policy is Policy.MEMALLOC
    assert config.settings.service_ns == 200_000


def test_heartbeats_know_their_peers_and_are_spread(tmp_path: Path) -> None:
    wire = scenario()
    phases = []
    for index, name in enumerate(wire.node_names):
        config = common.heartbeat(wire, NODES, name, incarnation=0)
        config |= {"events": str(tmp_path / "agent"), "fence": str(tmp_path / "fence")}
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(config))
        loaded = read_config(file, HeartbeatConfig)
        assert loaded.node == name
        assert config["index"] == index
        assert set(config["peers"]) == set(wire.node_names) - {name}
        assert config["peers"][next(iter(config["peers"]))]["addresses"][0].startswith("10.77.0.")
        assert not config["joining"]
        phases.append(config["phase_ns"])
    assert phases == [0, 33_333_333, 66_666_666]


def test_a_node_that_boots_again_joins() -> None:
    assert common.heartbeat(scenario(), NODES, "n1", incarnation=1)["joining"]


def test_every_node_has_its_own_region() -> None:
    wire = scenario()
    regions = []
    for name in wire.node_names:
        config = configs.initiator(wire, NODES["storage"].ip, name, 0)
        assert config["address"] == NODES["storage"].ip
        regions.append(
            range(config["first_block"], config["first_block"] + config["region_blocks"])
        )
    ends = [(region.start, region.stop) for region in regions]
    assert all(one[1] == other[0] for one, other in pairwise(ends))
    assert regions[-1].stop <= wire.block_io.export // 4096


def test_requests_are_counted_in_pages() -> None:
    config = configs.initiator(scenario(block_io__request="64KiB"), NODES["storage"].ip, "n1", 0)
    assert config["request_blocks"] == 16


def test_traffic_goes_to_the_nodes_and_not_to_the_storage_host() -> None:
    wire = scenario(cluster__nodes=2, traffic__rate=10, traffic__size="100B")
    source = common.traffic_source(wire, NODES)
    assert source["addresses"] == ["10.77.0.1", "10.77.0.2"]
    assert (source["port"], source["rate"], source["size"]) == (9000, 10, 100)
    assert configs.traffic_sink(wire, NODES["n2"])["address"] == "10.77.0.2"
