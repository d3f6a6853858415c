"""Every kind of fault, on a cluster of stand-ins: what it does, takes back and says of itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from crunchbed import faults
from crunchbed.checks.faults import fault_spans
from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.kinds import FAULT_KINDS, MODELS
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.run.world import Impairment
from crunchbed.scenario.facts import ClusterFacts
from crunchbed.scenario.loader import load
from reserve_agent.errors import CrunchbedError
from tests.unit.fault_world import CALM, MS, FakeController, FakeWorld, begin
from tests.unit.recording import Recording


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


# --- all kinds


def test_every_file_of_a_kind_is_registered() -> None:
    files = {path.stem for path in Path(faults.__path__[0]).glob("*.py")}
    own = {kind.replace("-", "_") for kind in FAULT_KINDS}
    assert files == own | {"__init__", "action", "base", "kinds", "holds"}
    assert [model.__module__.rsplit(".")[-1].replace("_", "-") for model in MODELS.values()] == [
        *FAULT_KINDS
    ]


def test_a_fault_file_needs_nothing_impure() -> None:
    """Scenarios and checks import it: no kernel, no network, no processes, no clock of its own."""
    code = "import sys, crunchbed.faults.kinds; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pyroute2", "mininet", "nbd", "topologies"}
    sources = [path.read_text() for path in Path(faults.__path__[0]).glob("*.py")]
    for word in ("import time", "import os", "import signal", "backends", "topologies", "nodes."):
        assert not any(f"\nfrom {word}" in text or f"\n{word}" in text for text in sources), word


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_what_could_not_begin_has_nothing_to_undo(kind: str, world: FakeWorld) -> None:
    for node in world.nodes.values():
        node.up, node.agent = False, False
    world.disk = world.switches = None
    section = MODELS[kind].model_validate({"kind": kind, "after": "0s"})
    with FaultInjection([section], world.context) as injected:
        injected.over()
    assert world.said == []
    began, *_, ended = (event for event in world.recorded() if event["kind"].startswith("fault"))
    assert (began["fault"], ended["fault"]) == (kind, kind)
    needs_nothing = ("link-down", "partition", "loss", "delay", "fence-failure")
    assert ("impossible" in began) == (kind not in needs_nothing)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_the_event_of_a_begin_is_the_one_that_was_given_with_more(
    kind: str, world: FakeWorld
) -> None:
    world.controller = FakeController()
    section = MODELS[kind].model_validate({"kind": kind, "after": "0s"})
    with FaultInjection([section], world.context, first=4) as injected:
        world.loop.ms = 7
        injected.over()
    event = next(event for event in world.recorded() if event["kind"] == "fault.begin")
    target = section.targets[0]
    expected = {"t": 7 * MS, "fault": kind, "target": target, "targets": (target,), "number": 4}
    assert {key: event[key] for key in expected} == expected
    assert "impossible" not in event


# --- links


def test_a_link_is_up_again_once_packets_pass(world: FakeWorld) -> None:
    fault = world.fault("link-down", target="storage")
    assert begin(fault) == {}
    assert world.network.down("storage") == [None]
    world.network.passes = False
    fault.undo()
    fault.undo()
    assert world.network.down("storage") == []
    assert fault.settling()
    assert world.recorded() == [{"kind": "port.down", "target": "storage"}]
    world.network.passes = True
    assert not fault.settling()
    assert not fault.settling()
    assert world.recorded()[1:] == [{"kind": "port.up", "target": "storage"}]


def test_one_link_of_several_is_named(world: FakeWorld) -> None:
    fault = world.fault("link-down", network="a")
    assert begin(fault) == {"network": "a"}
    assert world.network.down("n1") == ["a"]
    assert world.recorded() == [{"kind": "port.down", "target": "n1", "network": "a"}]


def test_packets_that_never_pass_are_waited_for_two_seconds(world: FakeWorld) -> None:
    fault = world.fault("link-down")
    begin(fault)
    world.network.passes = False
    fault.undo()
    world.loop.ms = 1999
    assert fault.settling()
    world.loop.ms = 2000
    assert not fault.settling()
    assert world.recorded()[-1]["kind"] == "port.up"


def test_a_link_that_another_fault_holds_down_does_not_come_up(world: FakeWorld) -> None:
    one, other = world.fault("link-down"), world.fault("link-down")
    for fault in (one, other):
        begin(fault)
    one.undo()
    assert not one.settling()
    other.undo()
    assert not other.settling()
    assert [event["kind"] for event in world.recorded()] == ["port.down", "port.down", "port.up"]


# --- packets


def test_a_partition_cuts_both_directions_and_spares_each_side(world: FakeWorld) -> None:
    fault = world.fault("partition", target=["n1", "n2"])
    assert begin(fault) == {}
    pairs = {(one.target, one.source) for one in world.network.impaired}
    assert pairs == {("n1", "n3"), ("n3", "n1"), ("n2", "n3"), ("n3", "n2")}
    assert {(one.loss, one.delay_ns) for one in world.network.impaired} == {(1.0, 0)}
    assert len(world.network.impaired) == len(pairs)
    fault.undo()
    assert world.network.impaired == []


@pytest.mark.parametrize(("settings", "source"), [({}, None), ({"from": "storage"}, "storage")])
def test_loss_is_that_of_one_sender_or_of_all(
    settings: dict[str, str], source: str | None, world: FakeWorld
) -> None:
    fault = world.fault("loss", share=0.2, **settings)
    assert begin(fault) == {"share": 0.2, **settings}
    assert world.network.impaired == [Impairment("n1", source, 0.2)]
    fault.undo()
    fault.undo()
    assert world.network.impaired == []


def test_a_delay_holds_every_packet_back(world: FakeWorld) -> None:
    fault = world.fault("delay", target="storage", delay="5ms")
    assert begin(fault) == {"delay_ns": 5 * MS}
    assert world.network.impaired == [Impairment("storage", None, 0.0, 5 * MS)]
    fault.undo()
    assert world.network.impaired == []


def test_a_node_without_neighbours_forgets_none(world: FakeWorld) -> None:
    fault = world.fault("arp-expiry")
    assert begin(fault) == {"forgotten": 2}
    with pytest.raises(NotPossible, match="n1 knew no neighbour"):
        begin(fault)
    fault.undo()


# --- power, processes


def test_a_node_is_down_until_its_fence_or_the_end(world: FakeWorld) -> None:
    fault = world.fault("node-crash", target="n2")
    assert begin(fault) == {}
    assert world.power.reasons == ["crash"]
    assert fault.lingers()
    with pytest.raises(NotPossible, match="n2 was down"):
        begin(fault)
    fault.undo()
    assert world.nodes["n2"].up
    assert not fault.lingers()


def test_an_agent_is_killed_and_brought_back(world: FakeWorld) -> None:
    fault = world.fault("agent-crash")
    assert begin(fault) == {}
    with pytest.raises(NotPossible, match="the agent of n1 was down"):
        begin(fault)
    fault.undo()
    assert world.nodes["n1"].agent


def test_a_controller_takes_over_or_is_no_longer_waited_for(world: FakeWorld) -> None:
    world.controller = controller = FakeController()
    fault = world.fault("controller-crash")
    assert begin(fault) == {}
    assert not controller.up
    assert not fault.settling()
    fault.undo()
    assert controller.up
    world.loop.ms = 14_999
    assert fault.settling()
    world.loop.ms = 15_000
    assert not fault.settling()


def test_daemons_stand_still_and_go_on(world: FakeWorld) -> None:
    fault = world.fault("stall", daemons=["traffic", "heartbeat"])
    assert begin(fault) == {"daemons": ("heartbeat", "traffic")}
    fault.undo()
    fault.undo()
    assert world.said == [
        ("pause", "n1", "heartbeat", "traffic"),
        ("resume", "n1", "heartbeat", "traffic"),
    ]


def test_a_target_dies_and_a_slow_one_is_started_twice(world: FakeWorld) -> None:
    for kind, details, said in (
        ("target-crash", {}, ["kill target"]),
        ("slow-disk", {"wdelay_ns": 100 * MS}, ["kill target", ("start target", 100 * MS)]),
    ):
        world.said.clear()
        fault = world.fault(kind)
        assert begin(fault) == details
        assert world.said == said
        fault.undo()
        fault.undo()
        again = [] if kind == "target-crash" else ["kill target"]
        assert world.said == [*said, *again, ("start target", 0)]


def test_a_reserve_has_its_former_size_afterwards(world: FakeWorld) -> None:
    node = world.nodes["n1"]
    fault = world.fault("resize-reserve", pages=64)
    assert begin(fault) == {"pages": 64, "was": 256}
    assert node.reserve == 64
    fault.undo()
    assert node.reserve == 256
    node.refusal = CrunchbedError("no room for it")
    with pytest.raises(NotPossible, match="no room for it"):
        begin(world.fault("resize-reserve"))
    fault.undo()  # a node that refuses has rebooted, and has its size of that


# --- a burst


def test_a_burst_goes_on_until_nobody_waits_and_the_pressure_is_gone(world: FakeWorld) -> None:
    node = world.nodes["n2"]
    fault = world.fault("burst", pages=1000, rate=10_000)
    world.loop.ms = 50
    assert begin(fault) == {"pages": 1000}
    assert world.said == [("burst", "n2", 1000, 10_000, 70 * MS)]
    assert world.recorded() == [
        {"kind": "burst.begin", "t": 70 * MS, "target": "n2", "pages": 1000}
    ]
    world.loop.ms = 50 + 20 + 100 + 99
    assert fault.lingers(), "the tasks have not asked for all pages yet"
    world.loop.ms += 1
    assert not fault.lingers()
    for status in (replace(CALM, waiting_pages=1), replace(CALM, pressure=True), None):
        node.now = status
        assert fault.lingers()
    node.incarnation = 1
    assert not fault.lingers()
    fault.undo()
    assert world.said[1:] == [], "the burst went with the boot"
    node.incarnation = 0
    fault.undo()
    assert world.said[1:] == [("calm", "n2")]


def test_the_work_of_a_node_moves_when_that_node_goes_down(world: FakeWorld) -> None:
    fault = world.fault("burst", **{"work-of": "n1", "takes": "300ms"})
    assert begin(fault) == {"pages": 12_000, "from": "n1"}
    assert not fault.lingers(), "nothing is to come as long as n1 is up"
    world.nodes["n1"].incarnation = 1  # it went down and is up again
    world.loop.ms = 1000
    assert fault.lingers()
    world.loop.ms = 1299
    assert fault.lingers()
    assert world.said == []
    world.nodes["n2"].up = False
    world.loop.ms = 1300
    assert not fault.lingers(), "there is nobody to take the work over"
    world.nodes["n2"].up = True
    assert fault.lingers()
    assert world.said == [("burst", "n2", 12_000, 100_000_000, 1320 * MS)]
    assert isinstance(fault, FaultAction)


# --- what the checks know of them


def old_effects(kind: str, targets: tuple[str, ...], data: dict[str, Any]) -> dict[str, Any]:
    """What the checks have said of a fault since there were faults, kind by kind."""

    def takes_down(node: str, network: str) -> bool:
        if kind == "switch-crash":
            return network in data.get("lost", {}).get(node, ()) or node in data.get("cut", ())
        named = data.get("network") in (None, network)
        return kind == "link-down" and node in targets and named

    silent = kind in ("link-down", "partition", "stall", "node-crash")
    nodes = ("n1", "n2", "n3")
    return {
        "separates": [
            kind == "partition" and (one in targets) != (other in targets)
            for one, other in product(nodes, nodes)
        ],
        "stalls": [
            kind == "stall" and node in targets and daemon in data.get("daemons", ("heartbeat",))
            for node, daemon in product(nodes, ("heartbeat", "traffic"))
        ],
        "takes_down": [takes_down(*one) for one in product(nodes, ("cluster", "a", "b"))],
        "silenced": [(silent and n in targets) or n in data.get("cut", ()) for n in nodes],
        "path_failed": kind in ("switch-crash", "link-down"),
        "switch_failed": kind == "switch-crash",
        "target_failed": kind in ("target-crash", "slow-disk"),
        "parted": kind == "partition",
        "stalled": kind == "stall",
    }


EVENTS: list[tuple[str, dict[str, Any]]] = [
    *product([*FAULT_KINDS, "of-a-newer-version"], [{}, {"impossible": "n1 was down"}]),
    ("link-down", {"network": "a"}),
    ("stall", {"daemons": ["traffic"]}),
    ("switch-crash", {"cut": ["n2"], "lost": {"n2": ["cluster"], "n3": ["b"]}}),
    ("switch-crash", {"cut": [], "lost": {"n1": ["a"]}}),
]


@pytest.mark.parametrize("targets", [("n1",), ("n1", "n3"), ("storage",)])
@pytest.mark.parametrize(("kind", "data"), EVENTS)
def test_the_checks_say_what_they_said_before(
    kind: str, targets: tuple[str, ...], data: dict[str, Any]
) -> None:
    recording = Recording().fault(1000, 2000, kind, *targets, **data)
    (fault,) = fault_spans(recording.history())
    nodes = ("n1", "n2", "n3")
    assert {
        "separates": [fault.separates(*one) for one in product(nodes, nodes)],
        "stalls": [fault.stalls(*one) for one in product(nodes, ("heartbeat", "traffic"))],
        "takes_down": [fault.takes_down(*one) for one in product(nodes, ("cluster", "a", "b"))],
        "silenced": [node in fault.effect.silenced for node in nodes],
        "path_failed": fault.effect.path_failed,
        "switch_failed": fault.effect.switch_failed,
        "target_failed": fault.effect.target_failed,
        "parted": bool(fault.effect.parted),
        "stalled": bool(fault.effect.stalled),
    } == old_effects(kind, targets, data)
    assert (fault.hit, fault.targets, fault.kind) == ("impossible" not in data, targets, kind)


def test_a_fault_lasts_until_the_end_that_comes_after_its_begin() -> None:
    recording = Recording().fault(1000, 2000, "stall", "n1").fault(3000, 4000, "stall", "n1")
    recording.add(5000, "fault.begin", fault="stall", target="n1")
    recording.add(6000, "phase", name="end")
    spans = [(one.span.start, one.span.end) for one in fault_spans(recording.history())]
    assert spans == [
        (1000 * MS, 2000 * MS + 1),
        (3000 * MS, 4000 * MS + 1),
        (5000 * MS, 6000 * MS + 1),
    ]
    other = Recording().add(500, "fault.end", fault="stall", target="n1")
    other.fault(1000, 2000, "stall", "n1")
    (one,) = fault_spans(other.history())
    assert one.span.end == 2000 * MS + 1, "an end before the begin is another fault's"


# --- the settings


FACTS = ClusterFacts(
    node_names=("n1", "n2", "n3", "n4", "n5"),
    pair=(),
    topology="split",
    networks=("cluster", "storage"),
    storage_networks=("storage",),
    switches=("s1", "s2"),
    controller="openflow",
    transport="nbd",
    membership="crunchbed",
    removal_ns=0,
    inject_ns=6000 * MS,
)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_the_default_settings_go_with_a_cluster_that_has_everything(kind: str) -> None:
    section = MODELS[kind].model_validate({"kind": kind})
    assert list(section.contradictions(FACTS)) == []


@pytest.mark.parametrize(
    ("kind", "settings", "facts", "contradiction"),
    [
        ("arp-expiry", {"target": "n6"}, {}, ("target", "n1 to n5, or random", "n6")),
        ("stall", {"target": "n6"}, {}, ("target", "n1 to n5, random or storage", "n6")),
        ("delay", {"target": "n6"}, {}, ("target", "n1 to n5, random or storage", "n6")),
        ("loss", {"from": "n6"}, {}, ("from", "n1 to n5, or storage", "n6")),
        ("partition", {"target": "storage"}, {}, ("target", "n1 to n5, or random", "storage")),
        (
            "partition",
            {"target": "controller"},
            {},
            ("target", "n1 to n5, or random", "controller"),
        ),
        ("switch-crash", {"target": "s3"}, {}, ("target", "one of s1, s2", "s3")),
        ("link-down", {"network": "a"}, {}, ("network", "one of cluster, storage", "a")),
        (
            "link-down",
            {"target": "storage", "network": "cluster"},
            {},
            ("network", "one of storage", "cluster"),
        ),
        (
            "controller-crash",
            {},
            {"controller": "none"},
            ("kind", "another kind where cluster.controller is none", "controller-crash"),
        ),
        (
            "slow-disk",
            {},
            {"pair": ("n4", "n5")},
            (
                "kind",
                "another kind where cluster nodes serve: slowing the target is restarting it",
                "slow-disk with block_io.pair",
            ),
        ),
        (
            "slow-disk",
            {},
            {"transport": "iscsi"},
            (
                "kind",
                "another kind with this transport: the delay filter is nbdkit's",
                "slow-disk with block_io.transport iscsi",
            ),
        ),
        (
            "burst",
            {"target": "n4"},
            {"pair": ("n4", "n5")},
            ("target", "a node that writes: n1, n2, n3", "n4"),
        ),
        ("burst", {"work-of": "n6"}, {}, ("work-of", "n1 to n5, or random", "n6")),
        ("burst", {"work-of": "n2"}, {}, ("work-of", "another node than target", "n2")),
        (
            "node-crash",
            {"after": "7s"},
            {},
            ("after", "after + jitter + for within phases.inject (6s)", "7s"),
        ),
        (
            "stall",
            {"after": "4s", "jitter": "1s"},
            {},
            ("for", "after + jitter + for within phases.inject (6s)", "7s"),
        ),
    ],
)
def test_what_does_not_go_with_the_cluster_is_named(
    kind: str, settings: dict[str, str], facts: dict[str, Any], contradiction: tuple[str, ...]
) -> None:
    section = MODELS[kind].model_validate({"kind": kind, **settings})
    assert list(section.contradictions(replace(FACTS, **facts))) == [contradiction]


def test_the_settings_keep_their_order_on_paper() -> None:
    scenario = load("control").with_overrides({"faults": [{"kind": "loss", "from": "n2"}]})
    (written,) = scenario.resolved()["faults"]
    assert list(written) == ["kind", "after", "jitter", "for", "target", "share", "from"]
