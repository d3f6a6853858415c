"""What machines cannot do is refused before anything starts, one line each."""

from __future__ import annotations

from typing import Any

import pytest

from crunchbed.backends import backend_of
from crunchbed.backends.machines import disk
from crunchbed.backends.machines.refuses import refused
from crunchbed.run.start import ready_backend
from crunchbed.scenario.loader import load, shipped
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

WRITEBACK = {"kind": "writeback", "pages": 4000}


def scenario(**changes: Any) -> Scenario:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    return load("control").with_overrides({"cluster.backend": "machines", **keys})


def test_control_and_every_kind_of_crunch_are_not_refused() -> None:
    timed = {"kind": "timed", "count": 1, "length": "1s", "every": "2s", "depth": 0.75}
    crunches = [scenario(crunch=crunch) for crunch in (timed, WRITEBACK, {"kind": "flood"})]
    resize = scenario(faults=[{"kind": "resize-reserve", "target": "n1", "pages": 1024}])
    for one in (scenario(), *crunches, resize):
        for policy in ("none", "memalloc"):
            assert refused(one.with_overrides({"policy": policy}), hold=False) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"cluster__nodes": 9},
            "cluster.nodes: expected 2 to 8 machines, got 9",
        ),
        (
            {"policy": "softnet"},
            "policy: expected none or memalloc: no kernel has another, got softnet",
        ),
        (
            {"policy": "mempool"},
            "policy: expected none or memalloc: no kernel has another, got mempool",
        ),
        (
            {"memory__pages": 4096, "memory__clean": 0},
            "memory.pages: expected 16384 or more (64MiB), got 4096 (16MiB)",
        ),
        (
            {"memory__on_exhaustion": "panic"},
            "memory.on_exhaustion: expected drop, as a kernel does, got panic",
        ),
        (
            {"cluster__topology": "split"},
            "cluster.topology: expected star: a machine has one card, got split",
        ),
        (
            {"cluster__controller": "openflow"},
            "cluster.controller: expected none for now, got openflow",
        ),
        (
            {"block_io__transport": "iscsi", "membership": "corosync", "phases__control": "10s"},
            "block_io.transport: expected nbd beside corosync: no guest has both, got iscsi",
        ),
        (
            {"block_io__transport": "nvme-tcp", "membership": "corosync", "phases__control": "10s"},
            "block_io.transport: expected nbd beside corosync: no guest has both, got nvme-tcp",
        ),
        (
            {"block_io__transport": "iscsi", "block_io__iscsi__noop_out_timeout": "700ms"},
            "block_io.iscsi.noop_out_timeout: "
            "expected whole seconds, as open-iscsi has them, got 700ms",
        ),
        (
            {"block_io__pair": ["n2", "n3"], "cluster__nodes": 4},
            "block_io.pair: expected [] for now, got [n2, n3]",
        ),
        ({"block_io__request": "128KiB"}, "block_io.request: expected at most 64KiB, got 128KiB"),
        ({"block_io__dirty_rate": 0}, "block_io.dirty_rate: expected 1 or more, got 0"),
        ({"enforce": True}, "enforce: expected false: no kernel refuses protocols at all times"),
        (
            {"heartbeat__interval": "10ms"},
            "heartbeat.interval: expected 20ms or more, got 10ms",
        ),
        (
            {"faults": [{"kind": "resize-reserve", "target": "n1", "pages": 1025}]},
            "faults: resize-reserve: expected at most 1024 pages, 1/16 of memory.pages, got 1025",
        ),
        (
            {"crunch": {"kind": "writeback", "pages": 13000}},
            "crunch.pages: expected at most 12288, 3/4 of memory.pages: a task has them in memory, "
            "got 13000",
        ),
        (
            {"crunch": WRITEBACK, "block_io__export": "32MiB"},
            "block_io.export: expected room for 40000KiB of swap and for the writes of every node, "
            "got 32MiB",
        ),
        (
            {"faults": [{"kind": "stall", "target": "n1"}]},
            "faults: stall of storage alone: a machine's daemons are not processes of ours",
        ),
        (
            {"memory.nic": "igb"},
            "memory.nic: expected one of e1000, e1000e, 8139cp, vmxnet3, virtio-net: QEMU has no",
        ),
        (
            {"memory.kernel": "proposal-2005"},
            "memory.kernel: expected a kernel that boots",
        ),
        ({"memory.kernel": "linux-2.6.12"}, "memory.kernel: expected a kernel that boots"),
        (
            {"faults": [{"kind": "agent-crash", "target": "n1"}]},
            "faults: no agent-crash: a machine's memory needs no agent",
        ),
    ],
    ids=str,
)
def test_what_machines_cannot_do_is_one_line(changes: dict[str, Any], line: str) -> None:
    lines = refused(scenario(**changes), hold=False)
    assert len(lines) == 1
    assert lines[0].startswith(line)
    with pytest.raises(BadInput, match=r"^backend machines: ") as error:
        ready_backend(scenario(**changes))
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("cluster.nodes", "1", "cluster.nodes: expected a whole number of nodes from 2 to 10000"),
        ("memory.nic", "e100", "memory.nic: expected one of e1000, e1000e, 8139cp"),
        ("memory.nic", "ne2k", "got ne2k, which one failed allocation makes deaf for good"),
        ("memory.nic", "pcnet", "got pcnet, on which a crunch does not end whatever is flagged"),
        ("memory.kernel", "../6.1", "memory.kernel: ../6.1: No such file or directory"),
        ("memory.kernel", "true", "memory.kernel: expected a kernel such as 6.1"),
    ],
)
def test_what_no_machine_has_is_no_scenario(key: str, value: str, text: str) -> None:
    with pytest.raises(BadInput) as error:
        scenario(**{key: value})
    assert text in str(error.value)
    assert error.value.exit_code == 2


def test_a_kernel_needs_no_quotes() -> None:
    assert scenario(memory__kernel="6.12").memory.kernel == "6.12"
    assert scenario(memory__kernel=6.1).memory.kernel == "6.1"
    assert scenario(memory__kernel="6.1-cloud").resolved()["memory"]["kernel"] == "6.1-cloud"
    assert "kernel" not in scenario(memory__kernel="6.1").resolved()["memory"]


def test_namespaces_have_profiles_and_no_page_cache() -> None:
    changes = {"memory.nic": "vmxnet3", "memory.kernel": "own-6.9"}
    one = load("control").with_overrides({**changes, "crunch": {**WRITEBACK, "form": "buffered"}})
    assert backend_of(one).refuses(one, hold=False) == [
        "memory.kernel: expected a profile, one of 6.1, 6.1-cloud, 6.12, proposal-2005, linux-6.1, "
        "linux-6.12, linux-2.6.12, got own-6.9",
        "crunch.form: expected swap, the default: only machines have a page cache of their own, "
        "got buffered",
    ]


def test_namespaces_have_no_nvme_and_machines_have() -> None:
    wanted = {"block_io.transport": "nvme-tcp"}
    one = load("control").with_overrides(wanted)
    assert backend_of(one).refuses(one, hold=False) == [
        "block_io.transport: expected nbd or iscsi: only machines have a kernel's initiator, "
        "got nvme-tcp"
    ]
    assert refused(scenario(block_io__transport="nvme-tcp"), hold=False) == []
    target = {"kind": "target-crash"}, {"kind": "stall", "target": "storage"}
    assert refused(scenario(block_io__transport="nvme-tcp", faults=list(target)), hold=False) == []
    with pytest.raises(BadInput, match="the delay filter is nbdkit's, got slow-disk with"):
        scenario(block_io__transport="nvme-tcp", faults=[{"kind": "slow-disk"}])


def test_what_the_scenario_does_to_a_cluster_is_not_done_while_it_is_held_open() -> None:
    one = scenario(crunch={"kind": "flood"}, faults=[{"kind": "agent-crash", "target": "n1"}])
    assert len(refused(one, hold=False)) == 1
    assert refused(one, hold=True) == []
    assert len(refused(scenario(policy="mempool"), hold=True)) == 1


def test_every_refusal_of_a_shipped_scenario_is_one_short_line() -> None:
    for one in (load(name) for name in shipped()):
        if one.cluster.nodes > 32:
            continue  # no scenario of this backend at all
        one = one.with_overrides({"cluster.backend": "machines", "expect": []})
        for line in refused(one, hold=False):
            assert "\n" not in line
            assert len(line) < 160


def test_regions_do_not_overlap_with_each_other_or_with_swap() -> None:
    one = scenario(crunch=WRITEBACK)
    regions = [disk.first_block(one, name) for name in one.node_names]
    assert regions[0] == disk.swap_pages(one) == 10_000
    length = disk.region_blocks(one)
    assert regions[1] - regions[0] == regions[2] - regions[1] == length
    assert (regions[-1] + length) * 4096 <= one.block_io.export
    assert disk.first_block(scenario(), "n1") == 0, "nobody swaps without such a crunch"


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, True),
        ({"policy": "none"}, False),
        ({"memory.nic": "vmxnet3"}, False),
        ({"cluster.backend": "namespaces"}, True),
        ({"cluster.backend": "namespaces", "memory.kernel": "proposal-2005"}, False),
    ],
)
def test_a_card_that_is_not_vm_aware_is_warned_of_where_it_matters(
    changes: dict[str, str], warned: bool
) -> None:
    scenario = load("virtio-is-not-vm-aware").with_overrides({"policy": "memalloc", **changes})
    assert [one for one in scenario.warnings() if "not vm-aware" in one] == [
        "memory.nic: virtio-net is not vm-aware: it never draws on the reserve, "
        "whatever sockets are flagged"
    ] * warned
