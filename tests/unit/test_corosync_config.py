"""corosync from the scenario to its own configuration file, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from crunchbed.backends.common import configs as common
from crunchbed.backends.namespaces import configs
from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.host.probes.machine import Machine
from crunchbed.host.requirements import require, requirement
from crunchbed.report.scale import time_scale
from crunchbed.scenario import sizing
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.schema import Scenario
from nodes.corosync import quorum
from nodes.corosync.conf import corosync_conf
from nodes.corosync.config import CorosyncConfig
from reserve_agent.config_files import read_config
from reserve_agent.contract.packets import SOCK_MEMALLOC
from reserve_agent.errors import BadInput, MissingRequirement
from topologies.node import ClusterNode, NodeLink

NODES = {
    name: ClusterNode(
        name, f"k3xq{name}", 100 + number, (NodeLink("eth0", f"port{name}", f"10.77.0.{number}"),)
    )
    for number, name in enumerate(("n1", "n2", "n3", "storage"), 1)
}


def scenario(overrides: dict[str, object] | None = None) -> Scenario:
    return load("control").with_overrides({"membership": "corosync", **(overrides or {})})


def config(tmp_path: Path, overrides: dict[str, object] | None = None) -> CorosyncConfig:
    """Return the daemon's configuration as it reads it."""
    settings = common.corosync(scenario(overrides), "k3xq", NODES, "n2")
    settings |= {"events": "agent", "fence": "fence", "keep": ["/run/x"]}
    file = tmp_path / "n2.json"
    file.write_bytes(orjson.dumps(settings))
    return read_config(file, CorosyncConfig)


def test_the_token_is_the_deadline_unless_it_is_given(tmp_path: Path) -> None:
    assert config(tmp_path).totem.token == 500
    assert config(tmp_path, {"heartbeat.misses": 4}).totem.token == 400
    assert config(tmp_path, {"corosync.token": "750ms"}).totem.token == 750
    slow = scenario({"corosync.token": "1s", "corosync.token_coefficient": "100ms"})
    assert (slow.deadline_ns, slow.removal_ns) == (1_100_000_000, 2_420_000_000)
    assert slow.with_overrides({"membership": "crunchbed"}).deadline_ns == 500_000_000
    assert scenario({"corosync.consensus": "700ms"}).removal_ns == 1_200_000_000


def test_corosync_conf_has_all_of_it(tmp_path: Path) -> None:
    text = corosync_conf(config(tmp_path, {"corosync.join": "60ms", "heartbeat.port": 7500}))
    for line in (
        *("cluster_name: k3xq", "transport: knet", "token: 500", "join: 60", "mcastport: 7500"),
        *("token_coefficient: 0", "token_retransmits_before_loss_const: 4"),
        *("provider: corosync_votequorum", "move_to_root_cgroup: no", "to_stderr: yes"),
        *("nodeid: 3", "name: n3", "ring0_addr: 10.77.0.3"),
    ):
        assert f"{line}\n" in text
    assert "10.77.0.4" not in text, "the storage host is no member"
    assert "consensus" not in text, "corosync's own default"
    assert text.count("{") == text.count("}")
    assert "sched_rr: no\n" in text, "else it takes the highest real-time priority"
    given = corosync_conf(config(tmp_path, {"corosync.consensus": "800ms"}))
    assert "\n  consensus: 800\n" in given


def test_its_sockets_are_marked_by_rule() -> None:
    def flags(wire: Scenario) -> int:
        rules = configs.hook_settings(wire).rules
        (rule,) = (rule for rule in rules if rule.port == wire.heartbeat.port)
        return rule.flags

    assert flags(scenario()) == SOCK_MEMALLOC
    assert flags(scenario({"memalloc": ["block-io"]})) == 0
    assert flags(load("control")) == 0, "the other daemon asks for itself"


def test_the_reserve_has_room_for_its_packets() -> None:
    ours = sum(term.pages for term in sizing.size(load("control")))
    assert sum(term.pages for term in sizing.size(scenario())) > ours


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"corosync.token": "80ms"},
            r"corosync\.token: expected at least heartbeat\.interval \(100ms\), .*, got 80ms",
        ),
        (
            {"corosync.token": "125ms"},
            r"corosync\.token: expected at least 126ms, the least .*_const 4, got 125ms",
        ),
        ({"corosync.token": "500500us"}, r"corosync\.token: expected whole milliseconds"),
        ({"corosync.token": "29ms"}, r"corosync\.token: expected .*from 30ms"),
        ({"corosync.join": "29ms"}, r"corosync\.join: expected .*from 30ms"),
        ({"corosync.consensus": "40ms"}, r"corosync\.consensus: expected at least corosync\.join"),
        ({"corosync.tokn": "1s"}, r"corosync\.tokn: expected .*did you mean token"),
        ({"membership": "corosnc"}, r"membership: expected one of crunchbed, corosync \(did you"),
        ({"cluster.nodes": 13}, r"cluster\.nodes: expected at most 12 nodes .*, got 13"),
        ({"phases.control": "1s"}, r"corosync\.token: .*token \+ consensus.* within phases"),
    ],
)
def test_what_corosync_would_refuse_is_refused_in_one_line(
    keys: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        scenario().with_overrides(keys)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    text = "name: x\nclaim: It holds.\nmembership: corosync\ncorosync:\n  token: 50ms\n"
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"x\.yaml:5: corosync\.token: expected at least"):
        load_file(tmp_path / "x.yaml")


def test_it_is_all_right_where_corosync_does_not_run() -> None:
    assert load("control").with_overrides({"corosync.token": "80ms"}).membership == "crunchbed"


def test_corosync_is_required_where_the_scenario_wants_it(tmp_path: Path) -> None:
    wanted = set(needed_by(scenario())) - set(needed_by(load("control")))
    assert {each.name for each in wanted} == {"corosync", "libquorum", "libcmap"}
    bare = Machine(root=tmp_path, which=lambda _name: None, euid=lambda: 0)
    with pytest.raises(MissingRequirement, match=r"corosync \(no corosync .*apt-get install") as no:
        require([requirement("corosync")], bare)
    assert no.value.exit_code == 4


def test_a_library_that_is_not_there_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quorum, "LIBRARY", "libquorum.so.0")
    with pytest.raises(
        MissingRequirement, match=r"libquorum\.so\.0.*: apt-get install .*libquorum5"
    ):
        quorum.load_library()


def test_a_report_speaks_of_the_token() -> None:
    assert "suspected after 0.5 s without the token here" in time_scale(scenario(), 0)
    assert "suspected after 0.5 s without heartbeats here" in time_scale(load("control"), 0)


@pytest.mark.parametrize(
    "change", [{"tokn": 1}, {"totem": {"token": 1}}, {"addresses": {"n1": "10.77.0.1"}}]
)
def test_a_wrong_configuration_of_the_daemon_is_refused(
    change: dict[str, object], tmp_path: Path
) -> None:
    config(tmp_path)
    file = tmp_path / "n2.json"
    file.write_bytes(orjson.dumps(orjson.loads(file.read_bytes()) | change))
    with pytest.raises(BadInput, match=r"n2\.json: "):
        read_config(file, CorosyncConfig)


def test_two_nodes_may_have_quorum_each(tmp_path: Path) -> None:
    assert "two_node" not in corosync_conf(config(tmp_path))
    two = config(tmp_path, {"corosync.two_node": True, "cluster.nodes": 2})
    assert "  two_node: 1" in corosync_conf(two).splitlines()
    with pytest.raises(BadInput, match=r"corosync\.two_node: expected false unless cluster\.nodes"):
        scenario({"corosync.two_node": True})
