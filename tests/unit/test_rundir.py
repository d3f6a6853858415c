"""The run directory: made whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from crunchbed.archive import rundir
from crunchbed.scenario.loader import load
from reserve_agent.errors import BadInput, RunInvalid

CONTROL = load("control")


def make(out: Path | None) -> Path:
    return rundir.make(CONTROL, 1, "k3xq", out)


def test_it_holds_the_scenario_as_resolved(tmp_path: Path) -> None:
    path = make(tmp_path / "deep" / "down")
    assert path.is_absolute()
    assert json.loads((path / "scenario.json").read_bytes()) == CONTROL.resolved()
    assert sorted(child.name for child in path.iterdir()) == ["history", "logs", "scenario.json"]


def test_an_empty_directory_will_do(tmp_path: Path) -> None:
    assert make(tmp_path) == tmp_path


def test_its_name_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = make(None)
    assert path.parent == tmp_path / "runs"
    assert path.name.endswith("-control-memalloc-1-k3xq")


def test_one_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(BadInput, match="is not empty"):
        make(tmp_path)
    assert [child.name for child in tmp_path.iterdir()] == ["mine"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="cannot make the run directory"):
            make(out)
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("existed", [True, False])
def test_what_a_full_disk_let_through_is_taken_back(
    existed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, content: bytes) -> int:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", no_room)
    out = tmp_path / "out"
    if existed:
        out.mkdir()
    with pytest.raises(BadInput, match=r"cannot make the run directory \(No space left"):
        make(out)
    assert out.exists() == existed
    assert list(tmp_path.rglob("*")) == ([out] if existed else [])


def test_a_file_is_written_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    rundir.write_json(file, {"seed": 1})
    rundir.write_json(file, {"seed": 2})
    assert json.loads(file.read_bytes()) == {"seed": 2}
    assert list(tmp_path.iterdir()) == [file]


class Disk:
    """What statvfs says."""

    f_blocks = 10
    f_bfree = 10
    f_files = 10
    f_ffree = 10

    def __init__(self, **free: int) -> None:
        vars(self).update(free)


@pytest.mark.parametrize(
    ("error", "disk", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), {}, "No space left on device"),
        (OSError(errno.EROFS, "Read-only file system"), {}, "Read-only file system"),
        (RunInvalid("n1 agent ended"), {"f_bfree": 0}, "No space left on device"),
        (RunInvalid("n1 agent ended"), {"f_ffree": 0}, "No space left on device"),
        (RunInvalid("n1 agent ended"), {"f_blocks": 0, "f_bfree": 0}, None),  # a tmpfs of size=0
        (RunInvalid("n1 agent ended"), {"f_files": 0, "f_ffree": 0}, None),  # as btrfs says
        (RunInvalid("n1 agent ended"), {}, None),
        (OSError(errno.ECONNRESET, "Connection reset by peer"), {}, None),
    ],
)
def test_whether_the_disk_is_to_blame(
    error: Exception,
    disk: dict[str, int],
    reason: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Disk(**disk))
    words = None if reason is None else f"{tmp_path}: cannot be written to: {reason}"
    assert rundir.unwritable([tmp_path], error) == words


def test_of_two_disks_the_one_that_is_full_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(path: Path) -> Disk:
        return Disk(f_bfree=0 if path.name == "state" else 5)

    monkeypatch.setattr(os, "statvfs", ask)
    places = [tmp_path / "out", tmp_path / "state"]
    words = f"{tmp_path / 'state'}: cannot be written to: No space left on device"
    for error in (OSError(errno.ENOSPC, "No space left on device"), RunInvalid("n1 agent ended")):
        assert rundir.unwritable(places, error) == words
    in_state = OSError(
        errno.ENOSPC, "No space left on device", str(tmp_path / "state" / "run.json")
    )
    monkeypatch.setattr(os, "statvfs", lambda _: Disk())
    assert rundir.unwritable(places, in_state) == words, "its undo has made room again"
    named = OSError(errno.EROFS, "Read-only file system", "/elsewhere/x")
    assert rundir.unwritable(places[:1], named) == (
        "/elsewhere/x: cannot be written to: Read-only file system"
    )


def test_a_directory_that_is_gone_is_no_full_disk(tmp_path: Path) -> None:
    assert rundir.unwritable([tmp_path / "gone"], RunInvalid("")) is None


def test_metadata_ties_the_clock_to_the_calendar() -> None:
    world = {"switch": "linux-bridge", "versions": {"nbdkit": "nbdkit 1.32"}}
    info: dict[str, Any] = rundir.metadata(CONTROL, 5, "k3xq", 7, world)
    assert (info["format"], info["scenario"], info["seed"]) == (3, "control", 5)
    assert (info["backend"], info["switch"]) == ("namespaces", "linux-bridge")
    assert set(info["clock"]) == {"monotonic_ns", "unix_ns"}
    assert info["clock"]["monotonic_ns"] == 7
    assert {"kernel", "python", "crunchbed", "nbdkit"} <= set(info["versions"])
    json.dumps(info)
