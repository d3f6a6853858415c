"""How targets are started, and what keeps them from it."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.block import target as targets
from nodes.block.target import TargetSettings, argv, require_free, set_up_steps
from nodes.process import Process, spawn
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement
from tests.unit.block_target import ADDRESS, Target, free_port, needs_nbdkit

NBD = TargetSettings("nbd", "10.77.0.254", 10809, Path("/run/x/disk"), Path("/run/x/s.tgt"))
ISCSI = TargetSettings("iscsi", "10.77.0.254", 3260, Path("/run/x/disk"), Path("/run/x/s.tgt"))
CHAP = TargetSettings(*("iscsi", ADDRESS, 3260), Path("disk"), Path("tgt"), ("me", "s" * 12))


def test_nbdkit_serves_the_file_at_one_address() -> None:
    command = argv(NBD)
    assert command[-2:] == ["file", "/run/x/disk"]
    assert command[command.index("--ipaddr") + 1] == "10.77.0.254"
    assert "--foreground" in command
    assert set_up_steps(NBD) == []


def test_only_a_disk_that_delays_has_more_than_one_thread_for_a_connection() -> None:
    def threads(settings: TargetSettings) -> str:
        command = argv(settings)
        last = len(command) - 1 - command[::-1].index("--threads")
        return command[last + 1]

    assert threads(NBD) == "1"
    assert threads(replace(NBD, write_delay_ns=5_000_000)) == "16"


def test_tgtd_has_a_portal_and_a_control_socket_of_its_own() -> None:
    command = argv(ISCSI)
    assert command[:2] == ["env", "TGT_IPC_SOCKET=/run/x/s.tgt"]
    assert Path(command[2]).name == "tgtd"
    assert "portal=10.77.0.254:3260" in command
    assert "--foreground" in command
    for step in set_up_steps(ISCSI):
        assert step[:2] == ["env", "TGT_IPC_SOCKET=/run/x/s.tgt"]
        assert Path(step[2]).name == "tgtadm"


@pytest.mark.parametrize("settings", [ISCSI, CHAP])
def test_nobody_may_log_in_before_all_is_set_up(settings: TargetSettings) -> None:
    steps = set_up_steps(settings)
    assert [("ALL" in step) for step in steps] == [False] * (len(steps) - 1) + [True]


def test_the_secret_is_asked_for_where_there_is_one() -> None:
    assert not any("account" in step for step in set_up_steps(ISCSI))
    new, bind = (step for step in set_up_steps(CHAP) if "account" in step)
    assert new[-4:] == ["--user", "me", "--password", "s" * 12]
    assert bind[-2:] == ["--user", "me"]


def test_a_disk_takes_no_room_until_it_is_written(tmp_path: Path) -> None:
    targets.make_disk(tmp_path / "disk", 1 << 30)
    stat = (tmp_path / "disk").stat()
    assert stat.st_size == 1 << 30
    assert stat.st_blocks * 512 < 1 << 20


def test_a_taken_port_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def launch(command: list[str]) -> Process:
        started.append(command)
        raise AssertionError(command)

    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setattr(targets, "require_program", lambda _: None)
        for transport in ("nbd", "iscsi"):
            settings = TargetSettings(transport, ADDRESS, port, tmp_path / "d", tmp_path / "c")
            expected = f"block_io.port: expected a TCP port that is free on {ADDRESS}, got {port}"
            with pytest.raises(BadInput, match=expected):
                targets.start(settings, launch)
    assert started == []


def test_an_address_that_is_not_there_is_said() -> None:
    with pytest.raises(CrunchbedError, match=r"cannot serve at 192.0.2.1:3260: Cannot assign"):
        require_free("192.0.2.1", 3260)


def test_a_port_that_was_closed_just_now_is_free() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((ADDRESS, port)):
            listener.accept()[0].close()  # this side waits out TIME_WAIT
    require_free(ADDRESS, port)


def test_a_program_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(targets.shutil, "which", lambda *_, **__: None)
    for settings, program in ((NBD, "nbdkit"), (ISCSI, "tgtd")):
        with pytest.raises(MissingRequirement, match=rf"lacks {program} \(make setup\)"):
            targets.start(settings, lambda _: pytest.fail("started"))


@needs_nbdkit
def test_a_target_that_ends_is_told_with_its_words(tmp_path: Path) -> None:
    settings = TargetSettings(
        "nbd", ADDRESS, free_port(), tmp_path / "nothing", tmp_path / "control"
    )

    def launch(command: list[str]) -> Process:
        log = tmp_path / "log"
        return spawn(command, name="storage target", log=log, netns_pid=None, cgroup=None)

    with pytest.raises(CrunchbedError, match=r"storage target ended: nbdkit: .*No such file"):
        targets.start(settings, launch)


@needs_nbdkit
def test_what_was_written_outlives_the_target(tmp_path: Path) -> None:
    target = Target(tmp_path)
    target.kill()
    target.start()
    assert targets.is_listening(ADDRESS, target.port)
    target.kill()
    assert not targets.is_listening(ADDRESS, target.port)
