"""The probes, on this machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from crunchbed.host.probes.machine import run_command
from crunchbed.host.probes.try_hooks import CGROUP_HOOKS
from crunchbed.host.requirements import REQUIREMENTS, probe_all
from nodes.cgroup import cgroup2_root

pytestmark = pytest.mark.root


def try_hooks(cgroup: Path) -> dict[str, str]:
    argv = (
        "unshare",
        "--net",
        sys.executable,
        "-m",
        "crunchbed.host.probes.try_hooks",
        str(cgroup),
    )
    answer = run_command(argv)
    assert answer.ok, answer.reason
    reasons: dict[str, str] = json.loads(answer.output)
    return reasons


def test_the_machine_of_the_tests_has_all_that_is_required_and_stays_clean() -> None:
    findings = probe_all()
    assert [each.name for each in findings] == list(REQUIREMENTS)
    assert [each for each in findings if each.required and not each.present] == []
    assert not (cgroup2_root() / f"crunchbed-check-{os.getpid()}").exists()
    assert not Path("/sys/class/net/crunchbed").exists()


def test_a_hook_is_attached_and_not_only_loaded(tmp_path: Path) -> None:
    """In a directory that is no cgroup, the kernel accepts the program and refuses its place."""
    reasons = try_hooks(tmp_path)
    assert reasons.pop("bpf-tc") == ""
    assert reasons.keys() == CGROUP_HOOKS.keys()
    assert set(reasons.values()) == {"attach: Bad file descriptor"}
