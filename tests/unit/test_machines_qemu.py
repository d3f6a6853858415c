"""Which kernels are built, how QEMU is started, and which accelerator it gets."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import orjson
import pytest

from crunchbed.backends.machines import accelerator, images, qemu
from crunchbed.backends.machines.accelerator import choose, shared_memory
from crunchbed.backends.machines.requirements import needed_by
from crunchbed.cli import app, check
from crunchbed.host import requirements
from crunchbed.host.requirements import missing, require
from crunchbed.scenario.loader import load
from nodes.guest.layout import SHARED_BYTES, VERSION, State
from nodes.process import Process, spawn
from reserve_agent.errors import MissingRequirement

RELEASE = "6.1.0-99-amd64"


def build(folder: Path, name: str = "6.1", cards: str = "e1000\nrtl8139\n") -> images.Image:
    """A kernel as scripts/machines.sh leaves it, of no bytes."""
    built = folder / RELEASE
    built.mkdir(exist_ok=True)
    for file in ("vmlinuz", "initramfs"):
        (built / file).touch()
    (built / "cards").write_text(cards)
    (built / "shared").write_text(f"{VERSION}\n")
    (folder / name).symlink_to(RELEASE)
    found = images.find(name, folder)
    assert found is not None
    return found


def machine(image: images.Image, **changes: object) -> qemu.Machine:
    keys: dict[str, object] = {
        "name": "crunchbed-k3xq-n1",
        "image": image,
        "accelerator": "tcg",
        "memory_mib": 128,
        "shared": Path("/run/crunchbed/k3xq/n1.memory"),
        "console": Path("/runs/a,b/logs/n1-console.log"),
        "card": qemu.Card("8139cp", "k3xqn1-tap0", "02:00:00:00:00:01"),
        "words": {"address": "10.77.0.1/24", "port": 7405},
    }
    return qemu.Machine(**{**keys, **changes})  # type: ignore[arg-type]


def test_a_kernel_is_found_by_its_name_with_its_release_and_cards(tmp_path: Path) -> None:
    image = build(tmp_path)
    assert image.release == RELEASE
    assert image.cards == ("e1000", "8139cp")
    assert image.kernel.is_file()
    assert images.names(tmp_path) == ["6.1"]


def test_a_kernel_that_was_not_built_to_the_end_is_not_there(tmp_path: Path) -> None:
    image = build(tmp_path)
    image.initramfs.unlink()
    assert images.find("6.1", tmp_path) is None
    assert images.find("6.12", tmp_path) is None
    assert images.names(tmp_path) == []


@pytest.mark.parametrize("shared", [None, "", f"{VERSION - 1}\n"])
def test_a_guest_of_an_earlier_version_is_not_there(tmp_path: Path, shared: str | None) -> None:
    version = build(tmp_path).directory / "shared"
    version.unlink()
    if shared is not None:
        version.write_text(shared)
    assert images.find("6.1", tmp_path) is None


def test_a_kernel_with_corosync_has_an_initramfs_and_memory_for_it(tmp_path: Path) -> None:
    plain = build(tmp_path)
    variant = images.variant_for("corosync", "nbd")
    assert images.find("6.1", tmp_path, variant=variant) is None
    (plain.directory / "initramfs-corosync").touch()
    image = images.find("6.1", tmp_path, variant=variant)
    assert image is not None
    assert image.initramfs == plain.directory / "initramfs-corosync"
    assert image.own_mib > plain.own_mib
    (tmp_path / "corosync").mkdir()
    (tmp_path / "corosync" / "version").write_text("3.1.7-1\n")
    assert (plain.programs, image.programs) == ({}, {"corosync": "3.1.7-1"})
    assert images.find("6.1", tmp_path, variant=images.variant_for("crunchbed", "nbd")) == plain


def test_qemu_gets_one_card_one_shared_mebibyte_and_no_disk(tmp_path: Path) -> None:
    told = qemu.argv(machine(build(tmp_path)))
    pairs = dict(itertools.pairwise(told))
    assert told[0] == "qemu-system-x86_64"
    assert (pairs["-name"], pairs["-m"], pairs["-smp"]) == ("crunchbed-k3xq-n1", "128", "1")
    assert (pairs["-accel"], pairs["-cpu"]) == ("tcg", "qemu64")
    assert pairs["-netdev"] == (
        "tap,id=net,ifname=k3xqn1-tap0,script=no,downscript=no,vnet_hdr=off"
    )
    devices = [told[index + 1] for index, word in enumerate(told) if word == "-device"]
    assert devices == [
        "rtl8139,netdev=net,mac=02:00:00:00:00:01,romfile=",
        "ivshmem-plain,memdev=shared",
    ]
    assert pairs["-object"] == (
        "memory-backend-file,id=shared,share=on,size=1M,mem-path=/run/crunchbed/k3xq/n1.memory"
    )
    assert "-no-reboot" in told, "a panic ends the machine"
    assert not {"-drive", "-hda", "-monitor"} & set(told)


def test_a_guest_with_a_shell_has_a_second_serial_port_that_nobody_need_listen_to(
    tmp_path: Path,
) -> None:
    told = qemu.argv(machine(build(tmp_path), shell=Path("/run/crunchbed/k3xq/n1.console")))
    assert told[-4:] == [
        *("-chardev", "socket,id=shell,server=on,wait=off,path=/run/crunchbed/k3xq/n1.console"),
        *("-serial", "chardev:shell"),
    ]
    assert qemu.argv(machine(build(tmp_path, "6.12"))).count("-serial") == 1


def test_a_comma_in_a_path_is_no_option(tmp_path: Path) -> None:
    told = qemu.argv(machine(build(tmp_path)))
    assert "file,id=console,append=on,path=/runs/a,,b/logs/n1-console.log" in told


def test_the_kernel_is_told_what_init_reads(tmp_path: Path) -> None:
    told = qemu.argv(machine(build(tmp_path), words={"nic": "e1000", "min_free_kib": 1024}))
    words = told[told.index("-append") + 1].split()
    assert words[-2:] == ["crunchbed.nic=e1000", "crunchbed.min_free_kib=1024"]
    assert {"panic=-1", "zswap.enabled=0", "console=ttyS0"} <= set(words)


def test_a_machine_without_a_card_has_no_network(tmp_path: Path) -> None:
    assert "-netdev" not in qemu.argv(machine(build(tmp_path), card=None, accelerator="kvm"))


def test_shared_memory_is_ready_for_a_boot(tmp_path: Path) -> None:
    with shared_memory(tmp_path / "memory") as memory:
        assert memory.agent.state == State.NONE
        assert memory.agent.magic
    assert (tmp_path / "memory").stat().st_size == SHARED_BYTES


class Trials:
    """Stands in for QEMU: a process that says that init was reached, or ends before that."""

    def __init__(self, folder: Path, *, reaches: bool) -> None:
        self.folder = folder
        self.reaches = reaches
        self.commands: list[list[str]] = []

    def launch(self, command: list[str]) -> Process:
        self.commands.append(command)
        if self.reaches:
            # The state is a word of four bytes behind magic and version.
            with (self.folder / "trial").open("r+b") as memory:
                memory.seek(8)
                memory.write(bytes([State.FAILED]))
        log = self.folder / "log"
        return spawn(["true"], name="trial", log=log, netns_pid=None, cgroup=None)


@pytest.fixture
def kvm(tmp_path: Path) -> Path:
    device = tmp_path / "kvm"
    device.touch()
    return device


@pytest.mark.parametrize(("reaches", "expected"), [(True, "kvm"), (False, "tcg")])
def test_kvm_is_what_a_trial_boot_has_reached_init_with(
    tmp_path: Path, kvm: Path, reaches: bool, expected: str
) -> None:
    image, trials = build(tmp_path), Trials(tmp_path, reaches=reaches)
    assert choose(image, tmp_path, trials.launch, qemu="7.2", kvm=kvm) == expected
    assert trials.commands[0][trials.commands[0].index("-accel") + 1] == "kvm"
    # The answer is kept for this QEMU and this host's kernel.
    assert choose(image, tmp_path, trials.launch, qemu="7.2", kvm=kvm) == expected
    assert len(trials.commands) == 1
    (tmp_path / "trial").unlink()
    choose(image, tmp_path, trials.launch, qemu="8.0", kvm=kvm)
    assert len(trials.commands) == 2


def test_an_answer_of_another_host_or_that_makes_no_sense_is_not_believed(
    tmp_path: Path, kvm: Path
) -> None:
    image, trials = build(tmp_path), Trials(tmp_path, reaches=False)
    kept = image.directory / "accelerator.json"
    for text in (
        b"not json",
        orjson.dumps({"host": "another", "qemu": "7.2", "accelerator": "kvm"}),
    ):
        kept.write_bytes(text)
        (tmp_path / "trial").unlink(missing_ok=True)
        assert choose(image, tmp_path, trials.launch, qemu="7.2", kvm=kvm) == "tcg"
    assert len(trials.commands) == 2
    assert orjson.loads(kept.read_bytes())["host"] == os.uname().release


def test_without_the_device_nothing_is_tried(tmp_path: Path) -> None:
    image, trials = build(tmp_path), Trials(tmp_path, reaches=True)
    told = choose(image, tmp_path, trials.launch, qemu="7.2", kvm=tmp_path / "no-kvm")
    assert (told, trials.commands) == ("tcg", [])


def test_a_boot_that_hangs_ends_at_the_deadline(
    tmp_path: Path, kvm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "TRIAL_SECONDS", 0.1)

    def launch(_command: list[str]) -> Process:
        log = tmp_path / "log"
        started = spawn(["sleep", "60"], name="trial", log=log, netns_pid=None, cgroup=None)
        launched.append(started)
        return started

    launched: list[Process] = []
    assert choose(build(tmp_path), tmp_path, launch, qemu="7.2", kvm=kvm) == "tcg"
    assert launched[0].poll() is not None


def test_what_is_not_built_is_said_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    build(tmp_path)
    wanted = load("control").with_overrides(
        {"cluster.backend": "machines", "memory.kernel": "6.12", "memory.nic": "e1000"}
    )
    found = missing([each for each in needed_by(wanted) if each.name.startswith("kernel ")])
    assert [(one.name, one.remedy) for one in found] == [("kernel 6.12", "make machines")]
    assert found[0].detail == f"6.12 is not in {tmp_path}; built: 6.1"


def test_a_card_without_a_driver_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    build(tmp_path, cards="vmxnet3\nvirtio-net-pci\n")
    wanted = load("control").with_overrides({"cluster.backend": "machines"})
    driver = [each for each in needed_by(wanted) if each.name.startswith("driver ")]
    with pytest.raises(MissingRequirement, match=r"driver of e1000 \(6.1 has vmxnet3, virtio-net"):
        require(driver)


def test_a_kernel_without_corosync_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    build(tmp_path)
    changes = {"cluster.backend": "machines", "phases.control": "10s"}
    wanted = load("control").with_overrides(changes | {"membership": "corosync"})
    (corosync,) = (each for each in needed_by(wanted) if each.name == "corosync of guests")
    (found,) = missing([corosync])
    assert (found.detail, found.remedy) == ("6.1 was built without corosync", "make machines")
    (tmp_path / RELEASE / "initramfs-corosync").touch()
    assert not missing([corosync])


def test_check_names_what_machines_need() -> None:
    names = {finding.name for finding in check.probe_all()}
    kernels = {"machine-kernel-6.1", "machine-kernel-6.1-cloud", "machine-kernel-6.12"}
    assert {"qemu", "tun", "mirred"} | kernels <= names


def test_check_says_of_each_kernel_that_make_machines_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    build(tmp_path)
    found = requirements.missing(
        one for name, one in requirements.REQUIREMENTS.items() if "machine-kernel" in name
    )
    assert [(one.name, one.remedy, one.required) for one in found] == [
        ("machine-kernel-6.1-cloud", "make machines", False),
        ("machine-kernel-6.12", "make machines", False),
    ]
    monkeypatch.setattr(check, "probe_all", lambda: found)
    assert app.main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    brings = "make machines brings machine-kernel-6.1-cloud, machine-kernel-6.12"
    assert lines[-1] == f"for --backend machines: {brings}"
    said = f"6.12 is not in {tmp_path}; built: 6.1; make machines"
    assert any(said in line for line in lines)


def test_check_says_nothing_of_machines_where_all_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "probe_all", list)
    assert app.main(["check"]) == 0
    assert "machines" not in capsys.readouterr().out


def test_guests_with_open_iscsi_have_an_initramfs_of_their_own_and_more_memory(
    tmp_path: Path,
) -> None:
    usual = build(tmp_path)
    assert images.find("6.1", tmp_path, variant="iscsi") is None
    (tmp_path / RELEASE / "initramfs-iscsi").touch()
    image = images.find("6.1", tmp_path, variant=images.variant_for("crunchbed", "iscsi"))
    assert image is not None
    assert image.initramfs.name == "initramfs-iscsi"
    assert image.own_mib > usual.own_mib == 96
    assert images.variant_for("crunchbed", "nbd") == ""


def test_a_kernel_without_one_side_of_nvme_is_a_requirement_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    build(tmp_path)
    keys = {"cluster.backend": "machines", "block_io.transport": "nvme-tcp"}
    wanted = load("control").with_overrides(keys)

    def lacking() -> list[tuple[str, str, str]]:
        found = missing(needed_by(wanted))
        return [(one.name, one.detail, one.remedy) for one in found if "NVMe" in one.name]

    (tmp_path / RELEASE / "initramfs-nvme-tcp").touch()
    said = "6.1 has no nvme-tcp, nvmet-tcp and virtio"
    assert lacking() == [("NVMe/TCP of guests", said, "make machines")]
    (tmp_path / RELEASE / "initramfs-nvmet").touch()
    assert lacking() == []


def test_a_kernel_that_was_built_without_open_iscsi_is_a_requirement_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    build(tmp_path)
    wanted = {"cluster.backend": "machines", "block_io.transport": "iscsi"}
    lacking = [
        (one.name, one.detail, one.remedy)
        for one in missing(needed_by(load("control").with_overrides(wanted)))
        if one.name == "iSCSI of guests"
    ]
    assert lacking == [("iSCSI of guests", "6.1 was built without open-iscsi", "make machines")]
    (tmp_path / RELEASE / "initramfs-iscsi").touch()
    names = {one.name for one in missing(needed_by(load("control").with_overrides(wanted)))}
    assert "iSCSI of guests" not in names
