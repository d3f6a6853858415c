"""A machine as the run sees it: power, what its attendant is asked, and who says that it died."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crunchbed.backends.machines import configs, qemu
from crunchbed.backends.machines.images import VARIANT_MIB, Image
from crunchbed.backends.machines.live_machine import LiveMachine
from crunchbed.backends.machines.qemu import Card, Machine
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from nodes.guest.config import AttendantConfig, LostTap
from nodes.process import Process, spawn
from reserve_agent.config_files import read_config, write_config
from reserve_agent.errors import CrunchbedError, RunInvalid
from topologies.node import ClusterNode, NodeLink

RESERVE = 220
"""What the largest zone has of a reserve of 256 pages."""


class Run:
    """Stands for a run: processes of it are real, and in no namespace."""

    def __init__(self, folder: Path, scenario: Scenario, log: list[str]) -> None:
        self.folder, self.scenario, self.told = folder, scenario, log
        self.run_id = "k3xq"
        self.state = folder
        self.started: list[Process] = []

    def of(self, node: str, name: str) -> Path:
        return self.folder / f"{node}.{name}"

    def history(self, part: str) -> Path:
        return self.folder / f"{part}.jsonl"

    def log(self, process: str) -> Path:
        return self.folder / f"{process.replace(' ', '-')}.log"

    def spawn(self, name: str, command: list[str], **_: object) -> Process:
        self.told.append(f"start {name}")
        process = spawn(command, name=name, log=self.log(name), netns_pid=None, cgroup=None)
        self.started.append(process)
        return process


class Port:
    """Stands for a switch port."""

    def __init__(self, host: ClusterNode, log: list[str]) -> None:
        self.host, self.told = host, log

    def power(self, on: bool) -> None:
        self.told.append(f"port {'up' if on else 'down'}")


class Attendant:
    """Stands for the process on the host; it answers at once."""

    process = None

    def __init__(self, log: list[str]) -> None:
        self.told = log
        self.guest: dict[str, Any] = {"state": "ready", "failure": None, "kernel": "6.1.0"}
        self.asked: list[dict[str, Any]] = []
        self.refuses = False

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        if op != "status":
            self.told.append(op)
            self.asked.append({"op": op, **fields})
        if self.refuses and op != "status":
            raise CrunchbedError(f"agent: {op}: no room")
        pool = {"pressure": 1, "demand": 7, "free": 60, "reserve": RESERVE}
        return {
            "ready": {"heartbeat": 1},
            "view": ["n1"],
            "serving": False,
            "misses": 2,
            "written": 3,
            "exhausted": 0,
            "policy": "none",
            "pool": pool,
            "guest": self.guest,
            "writing": 0,
            "forgotten": 3,
        }


class Clock:
    """Stands still."""

    def now_ns(self) -> int:
        return 10_000_000_000


def hosts() -> dict[str, ClusterNode]:
    names = ("n1", "n2", "n3", "storage")
    return {
        name: ClusterNode(
            name,
            f"k3xq{name}",
            1,
            (
                NodeLink(
                    f"k3xq{name}-eth0",
                    "k3xqs1-eth1",
                    f"10.77.0.{number}",
                    mac=f"02:00:00:00:00:0{number}",
                ),
            ),
        )
        for number, name in enumerate(names, 1)
    }


class Bed:
    """A node with all that surrounds it."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.told: list[str] = []
        self.run: Any = Run(folder, scenario, self.told)
        self.attendant = Attendant(self.told)
        port: Any = Port(hosts()["n1"], self.told)
        image = Image("6.1", folder, ("e1000",))
        card = Card("e1000", "k3xqn1-tap0", "02:00:00:00:00:01")
        self.console = folder / "n1-console.log"
        machine = Machine(
            name="crunchbed-k3xq-n1",
            image=image,
            accelerator="tcg",
            memory_mib=128,
            shared=folder / "n1.memory",
            console=self.console,
            card=card,
            words={},
        )
        self.node = LiveMachine(self.run, hosts(), port, machine, Clock())
        self.node.attendant = self.attendant  # type: ignore[assignment]


def scenario(**changes: Any) -> Scenario:
    return load("control").with_overrides({"cluster.backend": "machines", **changes})


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    monkeypatch.setattr(qemu, "argv", lambda _machine: ["sleep", "60"])
    made = Bed(tmp_path, scenario())
    yield made
    for process in made.run.started:
        process.kill()


def test_the_shared_memory_is_cleared_before_qemu_starts_and_read_after_it_ended(bed: Bed) -> None:
    bed.node.power_on()
    assert (bed.told, bed.node.up, bed.node.incarnation) == (
        ["port up", "boot", "start n1 machine"],
        True,
        0,
    )
    bed.told.clear()
    bed.node.power_off()
    assert bed.told == ["port down", "reset"]
    assert bed.run.started[0].poll() == -9, "the power switch is SIGKILL"
    assert (bed.node.up, bed.node.incarnation) == (False, 1)
    bed.node.power_on()
    assert bed.attendant.asked[-1] == {"op": "boot", "incarnation": 1}
    bed.node.check()


def test_status_is_what_the_attendant_says(bed: Bed) -> None:
    status = bed.node.status()
    assert (status.pressure, status.waiting_pages, status.free_pages) == (True, 7, 60)
    assert (status.misses, status.written_pages, status.reserve_pages) == (2, 3, RESERVE)


def test_a_level_is_a_share_of_what_the_largest_zone_has_of_the_reserve(bed: Bed) -> None:
    bed.node.begin_windows([(5, 9, 64)])  # a quarter of 256
    assert bed.attendant.asked[-1] == {"op": "windows", "windows": [[5, 9, 55]]}


def test_a_guest_that_failed_makes_the_run_invalid_with_its_own_words(bed: Bed) -> None:
    bed.node.power_on()
    bed.attendant.guest["failure"] = "insmod crunchbed"
    with pytest.raises(RunInvalid, match=r"^the machine n1 failed: insmod crunchbed$"):
        bed.node.check()


PANIC = "Kernel panic - not syncing: Attempted to kill init!"


def test_a_panic_is_told_with_its_reason_and_not_with_what_the_kernel_says_after_it(
    bed: Bed,
) -> None:
    bed.node.power_on()
    bed.console.write_text(f"booting\n{PANIC}\nKernel Offset: disabled\n\n")
    bed.attendant.guest["failure"] = "the guest's kernel has panicked"
    with pytest.raises(RunInvalid, match=f"^the machine n1 failed: the guest's .*: {PANIC}$"):
        bed.node.check()


def test_a_qemu_that_ends_by_itself_makes_the_run_invalid(bed: Bed) -> None:
    bed.node.power_on()
    bed.console.write_text("booting\n\n")
    bed.run.started[0].kill()
    with pytest.raises(RunInvalid, match=r"n1 machine ended by itself \(-9\): booting$"):
        bed.node.check()
    bed.console.write_text(f"booting\n{PANIC}\nKernel Offset: disabled\n\n")
    bed.run.log("n1 machine").write_text("qemu: warning: no such feature\n")
    with pytest.raises(RunInvalid, match=rf"n1 machine ended by itself \(-9\): {PANIC}$"):
        bed.node.check()


def test_the_end_of_the_run_is_no_failure(bed: Bed) -> None:
    bed.node.power_on()
    assert bed.node.ask_to_quiesce()
    bed.node.end()
    bed.attendant.guest["failure"] = "whatever comes of it"
    bed.node.check()
    assert bed.run.started[0].poll() == -9


def test_a_node_that_does_not_take_a_crunch_makes_the_run_invalid(bed: Bed) -> None:
    bed.attendant.refuses = True
    for tell in (
        lambda: bed.node.begin_burst(4000, 1000, 5),
        lambda: bed.node.begin_windows([(5, 9, 64)]),
        bed.node.calm,
    ):
        with pytest.raises(RunInvalid, match=r"n1 does not take (burst|windows|calm): agent: "):
            tell()


def test_the_attendants_configuration_is_one_that_it_reads(tmp_path: Path) -> None:
    crunch = {"kind": "writeback", "pages": 4000}
    run: Any = Run(tmp_path, scenario(crunch=crunch, policy="memalloc"), [])
    made = configs.attendant(run, hosts(), "n2")
    path = tmp_path / "config.json"
    write_config(path, configs.record(made))
    assert read_config(path, AttendantConfig) == made
    assert made.neighbours == {
        "10.77.0.1": "02:00:00:00:00:01",
        "10.77.0.3": "02:00:00:00:00:03",
        "10.77.0.4": "02:00:00:00:00:04",
    }
    assert made.disk is not None
    assert (made.disk.address, made.disk.writers, made.disk.request_blocks) == ("10.77.0.4", 4, 4)
    assert made.disk.pause == 32_000_000, "4 writers of 4 blocks, 500 blocks a second"
    assert made.burst.swap_pages <= made.disk.first_block
    assert (made.burst.dirty_pages, made.ballast_above) == (5000, 6000)
    assert (made.policy, made.memalloc) == ("memalloc", ("block-io", "heartbeat"))
    assert made.computed == 251, "8/3 of 94 pages, as `crunchbed reserve size`"
    assert made.heartbeat.peers.keys() == {"n1", "n3"}
    assert made.heartbeat.grace_ns == 20_000_000_000


def test_a_machine_has_the_addresses_and_the_reserve_of_its_node(tmp_path: Path) -> None:
    changes = {"memory.nic": "virtio-net", "memory.reserve": 512, "memory.pages": 32768}
    run: Any = Run(tmp_path, scenario(**changes), [])
    image = Image("6.1", tmp_path, ("virtio-net",))
    made = configs.machine(run, hosts()["n1"], "k3xqn1-tap0", image, "kvm")
    assert made.name == "crunchbed-k3xq-n1"
    assert made.card == Card("virtio-net", "k3xqn1-tap0", "02:00:00:00:00:01")
    assert made.memory_mib == 96 + 128
    assert made.words == {
        "nic": "virtio-net-pci",
        "address": "10.77.0.1/24",
        "port": 7405,
        "min_free_kib": 2048,
    }
    assert made.shared == configs.attendant(run, hosts(), "n1").memory
    assert made.shell is None
    held = configs.machine(run, hosts()["n1"], "k3xqn1-tap0", image, "kvm", with_shell=True)
    assert held.words == {**made.words, "shell": 1}
    assert held.shell == tmp_path / "n1.console"


def test_lost_packets_come_to_a_tap_beside_the_guests(tmp_path: Path) -> None:
    run: Any = Run(tmp_path, scenario(), [])
    lost = configs.attendant(run, hosts(), "n2").lost
    assert lost == LostTap(netns_pid=hosts()["n2"].pid, name="k3xqn2-lost0")


def test_a_machine_with_corosync_leaves_it_the_port_and_has_memory_for_it(tmp_path: Path) -> None:
    changes = {"membership": "corosync", "phases.control": "10s"}
    changes |= {"corosync.token": "3s", "corosync.token_coefficient": "650ms"}
    changes["crunch"] = {"kind": "timed"}
    run: Any = Run(tmp_path, scenario(**changes), [])
    image = Image("6.1", tmp_path, ("e1000",), "corosync")
    machine = configs.machine(run, hosts()["n1"], "k3xqn1-tap0", image, "kvm")
    assert machine.words["port"] == 0
    assert machine.memory_mib == 96 + VARIANT_MIB["corosync"] + 64
    made = configs.attendant(run, hosts(), "n2")
    path = tmp_path / "config.json"
    write_config(path, configs.record(made))
    assert read_config(path, AttendantConfig) == made
    assert made.ballast_above == 1600, "corosync takes pages as others join"
    told = made.corosync
    assert told is not None
    assert (told.node, told.port, told.totem.token) == ("n2", 7405, 3000)
    assert told.ids == {"n1": 1, "n2": 2, "n3": 3}
    assert told.addresses["n3"] == ("10.77.0.3",)


def test_pausing_says_that_a_machine_cannot(bed: Bed) -> None:
    with pytest.raises(CrunchbedError, match="heartbeat of a machine cannot be paused"):
        bed.node.pause(["heartbeat"])
    assert bed.node.forget_neighbours() == 3


def test_a_reserve_of_another_size_is_that_of_levels_until_the_next_boot(bed: Bed) -> None:
    assert [bed.node.resize(pages) for pages in (64, 128)] == [256, 64]
    assert bed.attendant.asked[-1] == {"op": "resize", "reserve": 128}
    bed.node.begin_windows([(1, 2, 64)])
    assert bed.attendant.asked[-1]["windows"] == [[1, 2, RESERVE // 2]]
    bed.node.power_on()
    assert bed.node.resize(64) == 256


def test_a_flood_has_a_reader_that_does_not_read_until_it_is_woken(bed: Bed) -> None:
    bed.node.open_reader(9001, memalloc=True)
    bed.node.wake()
    assert bed.attendant.asked[-2:] == [
        {"op": "reader", "port": 9001, "memalloc": True},
        {"op": "wake"},
    ]
    bed.attendant.refuses = True
    with pytest.raises(RunInvalid, match="n1 does not take reader"):
        bed.node.open_reader(9001, memalloc=False)
