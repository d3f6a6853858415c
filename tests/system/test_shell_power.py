"""A node's shells end when it loses power, and it has none until it boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.host import leaks
from nodes.cgroup import cgroup2_root, pids_in
from nodes.waiting import wait_until
from tests.system.command import Command
from tests.system.test_held_cluster import Held, is_on

pytestmark = pytest.mark.root


def programs_on(cluster: Held, node: str) -> set[str]:
    """Names of the programs that run on a node."""
    group = cgroup2_root() / f"crunchbed-{cluster.run_id}" / node
    return {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids_in(group)}


def test_a_node_that_is_fenced_has_no_shell_until_it_boots(tmp_path: Path) -> None:
    cluster = Held(tmp_path / "out", "--set", "fencing.reboot_delay=4s")
    on_n1 = Command("shell", "--run", cluster.run_id, "n1", "--", "sh", "-c", "sleep 60 & sleep 61")
    on_n2 = Command("shell", "--run", cluster.run_id, "n2", "--", "sleep", "62")
    try:
        wait_until(lambda: is_on(cluster, "n1", on_n1), 20, "the shell on n1")
        wait_until(lambda: is_on(cluster, "n2", on_n2), 20, "the shell on n2")
        cluster.ok("link", "n1", "down")
        assert on_n1.end(30) == 137
        why = f"crunchbed: n1 of run {cluster.run_id} has lost its power: the shell on it was ended"
        assert on_n1.errors == [why]
        assert "n1 of run" in cluster.refused("shell", "n1", "--", "true")
        assert not cluster.state()["nodes"]["n1"]["up"], "it booted before it was asked"
        wait_until(lambda: cluster.state()["nodes"]["n1"]["up"], 30, "its boot")
        assert cluster.ok("shell", "n1", "--", "echo", "back") == "back\n"
        assert "sleep" not in programs_on(cluster, "n1")
        assert on_n2.popen.poll() is None, "another node's shell goes on"
        cluster.ok("link", "n1", "up")
        cluster.ok("down")
    finally:
        on_n1.kill()
        on_n2.kill()
        cluster.command.kill()
        leaks.clean_run(cluster.run_id)
