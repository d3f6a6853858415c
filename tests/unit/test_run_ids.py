"""Run ids and the record that tells a live run from a dead one; needs no root."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crunchbed.host import run_ids
from crunchbed.host.run_ids import (
    RUN_ID,
    RecordedProcess,
    RunClaim,
    RunRecord,
    owner_is_alive,
)
from nodes.process import spawn, start_ticks
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError, MissingRequirement


def test_ids_have_their_form() -> None:
    for _ in range(200):
        assert RUN_ID.fullmatch(run_ids.draw_id())


def test_a_claim_is_recorded_and_given_back(tmp_path: Path) -> None:
    with RunClaim.claim(tmp_path) as state:
        record = RunRecord.read(tmp_path / state.run_id)
        assert record == state.record
        assert record.owner.pid == os.getpid()
        assert record.owner.is_alive()
        assert owner_is_alive(state.run_id, tmp_path)
        assert state.path.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
    assert not owner_is_alive(state.run_id, tmp_path)


def test_an_id_is_claimed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter(["k3xq", "k3xq", "dead", "live", "zzzz"])
    monkeypatch.setattr(run_ids, "draw_id", lambda: next(draws))
    monkeypatch.setattr(run_ids, "_has_links", lambda run_id: run_id == "live")
    (tmp_path / "dead").mkdir()
    with RunClaim.claim(tmp_path) as first, RunClaim.claim(tmp_path) as second:
        assert (first.run_id, second.run_id) == ("k3xq", "zzzz")
    assert [path.name for path in tmp_path.iterdir()] == ["dead"]


def test_ids_run_out_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_ids, "draw_id", lambda: "k3xq")
    with RunClaim.claim(tmp_path), pytest.raises(CrunchbedError, match="no free run id"):
        RunClaim.claim(tmp_path)


def test_no_permission_is_a_missing_requirement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(MissingRequirement, match="need root"):
        RunClaim.claim(tmp_path / "run")


def test_a_full_disk_is_told_and_leaves_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_ids.files, "write_bytes", refuse)
    with pytest.raises(MissingRequirement, match=f"cannot write to {tmp_path}: No space left"):
        RunClaim.claim(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_processes_are_recorded_while_they_live(tmp_path: Path) -> None:
    with RunClaim.claim(tmp_path) as state:
        state.record_directory(tmp_path)
        log = tmp_path / "log"
        first, second = (
            spawn(["sleep", "60"], name=name, log=log, netns_pid=None, cgroup=None)
            for name in ("first", "second")
        )
        state.add_process(first)
        first.kill()
        state.add_process(second)
        record = RunRecord.read(state.path)
        assert record is not None
        assert record.directory == tmp_path
        assert [(p.name, p.pid) for p in record.processes] == [("second", second.pid)]
        second.kill()


def test_a_recycled_pid_is_not_the_owner() -> None:
    mine = start_ticks(os.getpid())
    assert mine is not None
    record = RunRecord("k3xq", RecordedProcess("runner", os.getpid(), mine - 1), None, ())
    assert not record.owner.is_alive()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": "k3xq", "pid": 1}'])
def test_a_broken_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert RunRecord.read(tmp_path) is None


def test_the_lock_speaks_for_a_run_whose_record_is_elsewhere(tmp_path: Path) -> None:
    with RunClaim.claim(tmp_path) as state:
        assert owner_is_alive(state.run_id, root=tmp_path / "other")
    assert not owner_is_alive(state.run_id, root=tmp_path / "other")


def test_a_killed_owner_is_dead_and_its_lock_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from crunchbed.host.run_ids import RunClaim\n"
        "state = RunClaim.claim(Path(sys.argv[1])); print(state.run_id, flush=True)\n"
        "time.sleep(60)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        run_id = owner.stdout.readline().strip()
        assert owner_is_alive(run_id, tmp_path)
        owner.kill()
        # Dead already as a zombie: whoever started it may never wait for it.
        wait_until(lambda: not owner_is_alive(run_id, tmp_path), 10, "it is dead")
        wait_until(lambda: not run_ids.lock_is_held(run_id), 10, "its lock is free")
    assert re.fullmatch(RUN_ID, run_id)
