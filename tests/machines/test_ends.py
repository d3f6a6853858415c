"""Runs of machines that end by force, or are asked to end, and machines that somebody ends."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.machines.clusters import (
    PATIENCE_SECONDS,
    await_phase,
    fast,
    id_of,
    is_invalid,
    pid_of,
    verdict_of,
)
from tests.system.command import (
    Command,
    killed_ends_all_that_it_has_started,
    killed_leaves_nothing_that_clean_does_not_remove,
    run,
    traces,
)

pytestmark = pytest.mark.root
SEED = 14
WHOLE_SECONDS = 8.0
"""From the start of the command to its end."""


def moments(seed: int, last: float) -> list[Any]:
    """Draw ten moments, of which the first four are enough for every day."""
    dice = random.Random(seed)  # noqa: S311
    drawn = [round(dice.uniform(0, last), 2) for _ in range(10)]
    return [*drawn[:4], *(pytest.param(moment, marks=pytest.mark.slow) for moment in drawn[4:])]


@pytest.mark.parametrize("moment", moments(SEED, WHOLE_SECONDS))
def test_a_run_killed_at_any_moment_leaves_nothing_that_clean_does_not_remove(
    moment: float, tmp_path: Path
) -> None:
    killed_leaves_nothing_that_clean_does_not_remove(fast(tmp_path / "out"), moment)


@pytest.mark.parametrize(
    ("change", "programs"),
    [("capture=true", {"nbdkit", "tcpdump"}), ("block_io.transport=iscsi", {"tgtd"})],
    ids=["nbd", "iscsi"],
)
def test_a_run_killed_takes_along_all_that_it_has_started(
    change: str, programs: set[str], tmp_path: Path
) -> None:
    """The guests' connections never end: nobody sends the last packet for them."""
    command = fast(tmp_path / "out", change, control="30s")
    try:
        await_phase(command, "control")
        assert killed_ends_all_that_it_has_started(command) >= {"qemu-system-x86", *programs}
    finally:
        command.kill()
        run("clean")


class Victim:
    """A machine of a run, which nobody else can be taken for."""

    def __init__(self, command: Command, node: str) -> None:
        self._descriptor = os.pidfd_open(pid_of(command, f"{node} machine"))

    def kill(self) -> bool:
        """SIGKILL it; returns whether it lived."""
        try:
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(self._descriptor)
        return True


@pytest.mark.parametrize("moment", moments(SEED + 1, WHOLE_SECONDS - 1))
def test_a_machine_killed_by_somebody_else_makes_the_run_invalid(
    moment: float, tmp_path: Path
) -> None:
    """The run ejects nobody for it: the end of that QEMU was no finding about the cluster."""
    command = fast(tmp_path / "out")
    try:
        run_id = id_of(command)
        node = random.Random(moment).choice(("n1", "n2"))  # noqa: S311
        victim = Victim(command, node)
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.popen.wait(moment)
        measured = any(" s  collect" in line for line in command.errors)
        if victim.kill() and not measured:
            reason = f"{node} machine ended by itself (-9): "
            is_invalid(command, run_id, tmp_path / "out", reason)
        else:
            assert command.end(PATIENCE_SECONDS) == 0, command.errors
            assert verdict_of(tmp_path / "out") == ("pass", [])
        assert not any("is ejected" in line for line in command.errors)
    finally:
        command.kill()
    assert traces(run_id) == []


@pytest.mark.parametrize("phase", ["start", "control"])
@pytest.mark.parametrize("process", ["n2 attendant", "storage target"])
def test_an_attendant_or_the_target_killed_makes_the_run_invalid(
    process: str, phase: str, tmp_path: Path
) -> None:
    command = fast(tmp_path / "out", control="5s")
    try:
        run_id = id_of(command)
        await_phase(command, phase)
        os.kill(pid_of(command, process), signal.SIGKILL)
        is_invalid(command, run_id, tmp_path / "out", f"{process} ended by itself (-9): ")
    finally:
        command.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
@pytest.mark.parametrize("phase", ["start", "control"])
def test_asked_to_end_it_takes_everything_back(
    phase: str, number: signal.Signals, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = fast(out, control="5s")
    try:
        run_id = id_of(command)
        await_phase(command, phase)
        # As a terminal does it: to the runner and to whatever helper it has just started.
        os.killpg(command.popen.pid, number)
        assert command.end(PATIENCE_SECONDS) == 130, command.errors
    finally:
        command.kill()
    assert command.complaints == ["crunchbed: interrupted"]
    assert traces(run_id) == []
    assert not (out / "result.json").exists()
