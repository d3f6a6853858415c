"""Scenarios that name a topology: what cannot be is refused, what is needed is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.backends.common.ports import SwitchPort
from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.checks.faults import cut_off_since, fault_spans, ports_down
from crunchbed.history.history import History
from crunchbed.host.requirements import requirement
from crunchbed.scenario.cluster import Cluster
from crunchbed.scenario.loader import load_file
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.kinds import from_record
from reserve_agent.contract.topologies import NETWORKS
from reserve_agent.errors import BadInput
from topologies.describe import plan
from topologies.node import ClusterNode, NodeLink


def load(path: Path, text: str) -> Scenario:
    file = path / "x.yaml"
    file.write_text(f"name: x\nclaim: it holds\n{text}")
    return load_file(file)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("cluster: {topology: ring}", "cluster.topology", "one of star, split"),
        ("cluster: {topology: leaf-spine, switch: linux-bridge}", "cluster.switch", "loops"),
        (
            "cluster: {nodes: 5, topology: redundant}\nblock_io: {pair: [n4, n5]}",
            "block_io.pair",
            "",
        ),
        ("faults: [{kind: link-down, network: a}]", "faults[0].network", "one of cluster"),
        (
            "cluster: {topology: split}\n"
            "faults: [{kind: link-down, target: storage, network: cluster}]",
            "faults[0].network",
            "one of storage, got cluster",
        ),
        ("cluster: {delay: 1ms}\nfaults: [{kind: delay}]", "faults", "no delay where"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, key: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text)
    assert f"{key}: expected" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("key", ["delay: 1ms", "loss: 0.01"])
def test_delay_and_loss_need_netem(tmp_path: Path, key: str) -> None:
    scenario = load(tmp_path, f"cluster: {{{key}}}")
    assert requirement("netem") in needed_by(scenario)


def test_the_networks_of_each_topology_are_those_of_its_links() -> None:
    for topology, networks in NETWORKS.items():
        made = plan(topology, 3, 2, "")  # type: ignore[arg-type]
        found = [link.network for host in made.hosts for link in host.links]
        assert tuple(dict.fromkeys(found)) == networks


def test_power_takes_all_links_and_a_fault_may_take_one(monkeypatch: pytest.MonkeyPatch) -> None:
    links = tuple(NodeLink(f"eth{i}", f"p{i}", f"10.77.{i + 1}.1", "ab"[i]) for i in range(2))
    up: dict[str, bool] = {}

    def set_port(_node: ClusterNode, link: NodeLink, up_: bool) -> None:
        up[link.switch_port] = up_

    monkeypatch.setattr(ClusterNode, "set_port", set_port)
    port = SwitchPort(ClusterNode("n1", "x", 1, links, "10.77.0.1"))
    port.power(False)
    assert up == {"p0": False, "p1": False}
    port.cut("a")
    port.power(True)
    assert up == {"p0": False, "p1": True}
    port.cut()
    assert not port.mend("a"), "the other fault still holds it"
    assert up == {"p0": False, "p1": False}
    assert port.mend()
    assert up == {"p0": True, "p1": True}


def test_a_link_to_one_of_two_networks_cuts_nobody_off() -> None:
    def event(t: int, kind: str, **data: object) -> Event:
        return from_record({"t": t, "kind": kind, **data})

    history = History(
        [
            event(0, "fault.begin", fault="link-down", target="n1", number=0, network="b"),
            event(1, "port.down", target="n1", network="b"),
            event(2, "port.down", target="n1", network="a"),
            event(3, "port.up", target="n1", network="b"),
            event(5, "port.up", target="n1", network="a"),
        ]
    )
    assert cut_off_since(fault_spans(history), "n1", "n2") is None
    assert [(span.start, span.end) for span in ports_down(history)["n1"]] == [(1, 3), (2, 5)]


def test_the_backend_is_chosen_from_a_list_and_written_only_if_it_is_not_the_default(
    tmp_path: Path,
) -> None:
    default = load(tmp_path, "policy: none")
    chosen = load(tmp_path, "policy: none\ncluster: {backend: namespaces}")
    assert default.cluster.backend == "namespaces"
    assert default == chosen
    assert "backend" not in default.resolved()["cluster"]
    assert Scenario.model_validate(default.resolved()) == default
    with pytest.raises(BadInput) as no:
        load(tmp_path, "cluster: {backend: namespace}")
    assert str(no.value).endswith(
        "x.yaml:3: cluster.backend: expected one of namespaces, machines, simulation "
        "(did you mean namespaces?), got 'namespace'"
    )


def test_another_backend_than_the_default_is_written() -> None:
    other = Cluster(backend="simulation")
    assert other.model_dump(mode="json")["backend"] == "simulation"
