"""A look at requirements that was killed leaves a cgroup; clean removes it, and no live one."""

from __future__ import annotations

import os
import subprocess

import pytest

from crunchbed.cli import app
from nodes.cgroup import cgroup2_root

pytestmark = pytest.mark.root


def test_clean_removes_the_cgroup_of_a_killed_look() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    dead = cgroup2_root() / f"crunchbed-check-{ended.pid}"
    live = cgroup2_root() / f"crunchbed-check-{os.getpid()}"
    dead.mkdir()
    live.mkdir()
    try:
        assert app.main(["clean"]) == 0
        assert not dead.exists()
        assert live.exists()
    finally:
        live.rmdir()
        if dead.exists():
            dead.rmdir()
