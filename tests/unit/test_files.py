"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from reserve_agent import files


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    files.write_json(file, {"seed": 1})
    files.write_json(file, {"seed": 2})
    assert orjson.loads(file.read_bytes()) == {"seed": 2}
    assert list(tmp_path.iterdir()) == [file]


def test_until_the_end_the_old_file_is_there(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(b"old")
    with files.whole(file) as partial:
        partial.write_bytes(b"new")
        assert file.read_bytes() == b"old"
        assert partial.parent == tmp_path
        assert partial.name.startswith(".")
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(
    error: type[BaseException], tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(b"old")
    with pytest.raises(error), files.whole(file) as partial:
        partial.write_bytes(b"ne")
        raise error
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_an_error_before_anything_was_written_is_the_one_that_is_raised(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run"):
        files.write_bytes(tmp_path / "nowhere" / "run.json", b"{}")


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from reserve_agent import files\n"
        "with files.whole(Path(sys.argv[1])) as partial:\n"
        "    partial.write_bytes(b'ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(file)], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    files.write_bytes(file, b"new")
    assert list(tmp_path.iterdir()) == [file]


def test_an_error_of_writing_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, files.whole(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "x")
