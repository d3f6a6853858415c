"""The trial boot of a real kernel: what reaches init is told from what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crunchbed.backends.machines import accelerator
from crunchbed.backends.machines.accelerator import boots, choose
from crunchbed.backends.machines.images import Image
from nodes.process import Process, spawn

SECONDS = 60.0
"""For a busy machine."""


class Launcher:
    """Starts QEMU, and keeps the processes."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.started: list[Process] = []

    def __call__(self, command: list[str]) -> Process:
        process = spawn(command, name="trial", log=self.log, netns_pid=None, cgroup=None)
        self.started.append(process)
        return process


def test_a_kernel_reaches_init_and_nothing_is_left(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "TRIAL_SECONDS", SECONDS)
    launch = Launcher(tmp_path)
    assert boots(image, "tcg", tmp_path, launch), launch.log.read_text()
    assert [process.poll() is not None for process in launch.started] == [True]


def test_an_image_that_is_no_kernel_does_not(tmp_path: Path, image: Image) -> None:
    broken = tmp_path / "built"
    broken.mkdir()
    (broken / "vmlinuz").write_bytes(b"no kernel")
    (broken / "initramfs").symlink_to(image.initramfs)
    launch = Launcher(tmp_path)
    assert not boots(replace(image, directory=broken), "tcg", tmp_path, launch)


def test_the_answer_of_this_machine_is_one_of_two(tmp_path: Path, image: Image) -> None:
    built = tmp_path / "built"
    built.mkdir()
    for file in ("vmlinuz", "initramfs"):
        (built / file).symlink_to(image.directory / file)
    copy = replace(image, directory=built)
    launch = Launcher(tmp_path)
    answer = choose(copy, tmp_path, launch, qemu="test")
    assert answer in ("kvm", "tcg")
    assert all(process.poll() is not None for process in launch.started)
    assert choose(copy, tmp_path, launch, qemu="test") == answer
    assert len(launch.started) <= 1, "the answer is kept"
