"""The machine that serves the disk over NVMe/TCP: what it is told, and when it is up, or never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crunchbed.backends.common import storage
from crunchbed.backends.machines import configs, qemu, storage_machine
from crunchbed.backends.machines.images import STORAGE, Image, variant_for
from crunchbed.backends.machines.qemu import Card, Machine
from crunchbed.backends.machines.storage_machine import StorageMachine
from crunchbed.scenario.loader import load
from nodes.process import Process
from reserve_agent.errors import CrunchbedError, RunInvalid
from tests.unit.test_machines_node import Run, hosts

NVME = {"cluster.backend": "machines", "cluster.nodes": 3, "block_io.transport": "nvme-tcp"}


def told(folder: Path) -> Machine:
    run: Any = Run(folder, load("control").with_overrides(NVME), [])
    image = Image("6.1", folder, ("e1000",), STORAGE)
    return configs.storage_machine(run, hosts(), "k3xqst-tap0", image, "tcg")


def test_it_has_the_storage_host_s_address_and_the_file_of_the_run(tmp_path: Path) -> None:
    machine = told(tmp_path)
    assert machine.card == Card("virtio-net", "k3xqst-tap0", "02:00:00:00:00:04")
    assert machine.words == {
        "address": "10.77.0.4/24",
        "port": 4420,
        "subsystem": "nqn.2026-11.invalid.crunchbed:disk",
        "neighbours": "10.77.0.1=02:00:00:00:00:01,10.77.0.2=02:00:00:00:00:02,"
        "10.77.0.3=02:00:00:00:00:03",
    }
    assert (machine.disk, machine.memory_mib) == (tmp_path / "disk", 128)
    assert machine.image.initramfs.name == "initramfs-nvmet"
    assert variant_for("crunchbed", "nvme-tcp") == "nvme-tcp", "a node has the initiator alone"


def test_qemu_has_written_what_it_acknowledges_and_shares_no_memory(tmp_path: Path) -> None:
    command = qemu.argv(replace(told(tmp_path), disk=Path("/a,b/disk")))
    pairs = dict(pairwise(command))
    assert "cache=writeback" in pairs["-drive"].split(",")
    assert pairs["-drive"].endswith(",file=/a,,b/disk")
    devices = [value for word, value in pairwise(command) if word == "-device"]
    assert devices == [
        "virtio-net-pci,netdev=net,mac=02:00:00:00:00:04,romfile=",
        "virtio-blk-pci,drive=disk,werror=report,logical_block_size=4096,physical_block_size=4096",
    ]
    assert "-object" not in command
    assert "rdinit=/storage-init" in pairs["-append"].split()


class Bed:
    """A storage host in no namespace, whose QEMU is a shell."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.run: Any = Run(folder, load("control").with_overrides(NVME), [])
        self.undo = ExitStack()
        self.watched: list[Process] = []
        self.steps = 0
        self.on_step: Any = lambda: None
        self.machine = told(folder)
        patch.setattr(storage, "NodeCgroup", lambda *_: self)
        self.path = folder  # of the cgroup, which is there already
        host = StorageMachine(self.machine, self.run, hosts(), self, self.watched, self.undo)  # type: ignore[arg-type]
        self.host = host
        self._patch = patch

    def step(self, _timeout: float) -> None:
        self.steps += 1
        self.on_step()

    def start(self, script: str) -> None:
        self._patch.setattr(storage_machine, "argv", lambda _: ["sh", "-c", script])
        self.host.start_target()


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    made = Bed(tmp_path, monkeypatch)
    with made.undo:
        yield made


SERVES = "sleep 0.1; echo 'crunchbed: serving'; exec sleep 60"


def test_it_is_started_when_its_console_says_that_it_serves(bed: Bed) -> None:
    bed.start(SERVES)
    (process,) = bed.watched
    assert process.name == "storage target"
    assert process.log == bed.machine.console
    assert process.poll() is None
    assert bed.steps > 0, "the run goes on meanwhile"


def test_what_an_earlier_boot_has_said_does_not_count(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.start(SERVES)
    bed.host.kill_target()
    assert bed.watched == []
    monkeypatch.setattr(storage_machine, "_BOOT_SECONDS", 0.1)
    with pytest.raises(
        CrunchbedError, match=r"in vain: the guest of storage serves; .*-target.log"
    ):
        bed.start("exec sleep 60")


def test_a_guest_that_ends_before_it_serves_says_why(bed: Bed) -> None:
    with pytest.raises(RunInvalid, match=r"storage target ended by itself \(0\): crunchbed: insm"):
        bed.start("echo 'crunchbed: insmod nvmet'")


def test_a_panic_is_told_with_its_reason(bed: Bed) -> None:
    said = "echo '[ 1.0] Kernel panic - not syncing: no init'; echo '[ 1.0] Kernel Offset: off'"
    with pytest.raises(RunInvalid, match="Kernel panic - not syncing: no init"):
        bed.start(said)


def test_a_fault_may_kill_it_while_it_boots(bed: Bed) -> None:
    bed.on_step = lambda: bed.host.kill_target() if bed.steps > 2 else None
    bed.start("exec sleep 60")
    assert bed.watched == []


def test_the_end_of_the_cluster_ends_it(bed: Bed) -> None:
    bed.start(SERVES)
    (process,) = bed.watched
    bed.undo.close()
    assert process.poll() == -9
