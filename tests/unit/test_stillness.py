"""When a process stood still, told from looks at it; and the watch that looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crunchbed.backends.common import part_watch
from crunchbed.backends.common.part_watch import LOOK_NS, PartWatch
from crunchbed.backends.common.stillness import Key, Seen, Stillness, Stood
from nodes.process import Process, spawn, start_ticks, stat_of, waited_ns
from nodes.waiting import wait_until
from reserve_agent.contract.events.run import PartLate
from reserve_agent.errors import RunInvalid

MS = 1_000_000
A: Key = (7, 1)
B: Key = (8, 1)
RUNS, STOPPED = Seen(stopped=False), Seen(stopped=True)


def looks(stillness: Stillness, *seen: dict[Key, Seen]) -> list[Stood]:
    """What looks that are 50 ms apart find."""
    return [
        one for number, each in enumerate(seen) for one in stillness.look(number * 50 * MS, each)
    ]


def test_a_stop_lasts_from_the_first_look_that_sees_it_to_the_last() -> None:
    seen = [RUNS, STOPPED, STOPPED, STOPPED, RUNS, RUNS]
    found = looks(Stillness(), *({A: one, B: RUNS} for one in seen))
    assert found == [Stood(A, 50 * MS, 150 * MS, "stopped")]


def test_a_stop_that_one_look_alone_has_seen_has_no_certain_length() -> None:
    assert looks(Stillness(), {A: RUNS}, {A: STOPPED}, {A: RUNS}) == []


def test_a_process_that_ends_while_it_is_stopped_stood_still_until_then() -> None:
    found = looks(Stillness(), {A: STOPPED}, {A: STOPPED}, {})
    assert found == [Stood(A, 0, 50 * MS, "stopped")]


def test_another_process_with_its_pid_is_another_process() -> None:
    again: Key = (A[0], 2)
    found = looks(Stillness(), {A: STOPPED}, {A: STOPPED}, {again: STOPPED}, {again: RUNS})
    assert found == [Stood(A, 0, 50 * MS, "stopped")]


def test_what_is_not_over_is_told_at_the_end_and_once() -> None:
    stillness = Stillness()
    assert looks(stillness, {A: STOPPED}, {A: STOPPED}) == []
    assert stillness.end() == [Stood(A, 0, 50 * MS, "stopped")]
    assert stillness.end() == []


def waits(*thread: int) -> dict[Key, Seen]:
    return {A: Seen(stopped=False, waited_ns=dict(enumerate(thread)))}


def test_a_wait_for_a_processor_that_spans_a_look_is_one_wait() -> None:
    found = looks(Stillness(), waits(0, 5 * MS), waits(0, 5 * MS), waits(1, 305 * MS))
    assert found == [Stood(A, -200 * MS, 50 * MS, "no_processor")]


def test_short_waits_that_add_up_are_no_standstill() -> None:
    assert looks(Stillness(), *(waits(n * 49 * MS, n * 49 * MS) for n in range(20))) == []


def test_looks_without_waits_in_between_make_the_time_between_looks_longer() -> None:
    seen = [waits(0), {A: RUNS}, waits(90 * MS), {A: RUNS}, waits(240 * MS)]
    assert looks(Stillness(), *seen) == [Stood(A, 50 * MS, 100 * MS, "no_processor")]


# --- real processes


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = spawn(
        ["sleep", "60"], name="n1 initiator", log=tmp_path / "log", netns_pid=None, cgroup=None
    )
    yield process
    process.kill()


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., PartWatch]:
    """A watch over these processes, which are all of a cgroup."""

    def make(*pids: int) -> PartWatch:
        (tmp_path / "n1").mkdir(exist_ok=True)
        (tmp_path / "n1" / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        return PartWatch(tmp_path)

    return make


def letter(pid: int) -> str:
    stat = stat_of(pid)
    return "" if stat is None else stat.state


def look(watch: PartWatch, *ms: int) -> list[PartLate]:
    for at in ms:
        watch.look(at * MS)
    return list(watch.events())


def test_a_stopped_process_is_told_by_the_name_that_the_run_gave_it(
    sleeper: Process, watched: Callable[..., PartWatch]
) -> None:
    watch = watched(sleeper.pid)
    watch.add(sleeper)
    assert look(watch, 0, 50) == []
    sleeper.signal(signal.SIGSTOP)
    wait_until(lambda: letter(sleeper.pid) == "T", 10, "it is stopped")
    assert look(watch, 100, 150, 2600) == []
    sleeper.kill()
    assert look(watch, 2650) == [
        PartLate(
            t=2600 * MS,
            node="n1",
            part="initiator",
            since=100 * MS,
            late_ns=2500 * MS,
            why="stopped",
        )
    ]


def test_what_a_daemon_has_started_belongs_to_it(
    tmp_path: Path, watched: Callable[..., PartWatch]
) -> None:
    code = "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True)"
    command = [sys.executable, "-c", f"{code}; p.wait()"]
    parent = spawn(command, name="n1 service", log=tmp_path / "log", netns_pid=None, cgroup=None)
    wait_until(lambda: parent.last_words().isdecimal(), 10, "it has a child")
    child = int(parent.last_words())
    try:
        watch = watched(parent.pid, child)
        watch.add(parent)
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: letter(child) == "T", 10, "it is stopped")
        assert look(watch, 0, 50) == []
    finally:
        os.kill(child, signal.SIGKILL)
        parent.kill()
    (late,) = look(watch, 100)
    assert (late.node, late.part, late.program) == ("n1", "service", "sleep")


def test_a_job_that_somebody_has_stopped_in_a_shell_on_the_node_is_no_part(
    watched: Callable[..., PartWatch],
) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        watch = watched(stranger.pid)
        stranger.send_signal(signal.SIGSTOP)
        wait_until(lambda: letter(stranger.pid) == "T", 10, "it is stopped")
        look(watch, 0, 50)
    finally:
        stranger.kill()
        stranger.wait()
    assert look(watch, 100) == []


def test_the_watch_sees_that_it_wakes_late_itself(
    watched: Callable[..., PartWatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does where the whole run is stopped."""
    monkeypatch.setattr(part_watch, "LOOK_NS", -200 * MS)  # due before it can be
    watch = watched()
    watch.begin()
    found: list[PartLate] = []
    wait_until(lambda: found.extend(watch.events()) or found, 10, "it was late")
    watch.end()
    assert (found[0].node, found[0].part, found[0].why) == ("run", "run", "woke_late")
    assert found[0].t - found[0].since == found[0].late_ns


def test_a_stop_to_the_end_is_told_when_the_watch_ends(
    sleeper: Process, watched: Callable[..., PartWatch]
) -> None:
    watch = watched(sleeper.pid)
    watch.add(sleeper)
    sleeper.signal(signal.SIGSTOP)
    watch.begin()
    begun = 3 * LOOK_NS
    wait_until(lambda: watch.looks * LOOK_NS > begun, 10, "it has looked")
    watch.end()
    watch.end()
    assert [late.part for late in watch.events() if late.why == "stopped"] == ["initiator"]


def test_a_watch_that_fails_is_told(
    watched: Callable[..., PartWatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_pid: int) -> None:
        raise ValueError("no such field")

    monkeypatch.setattr(part_watch, "stat_of", broken)
    watch = watched(os.getpid())
    watch.begin()
    with pytest.raises(RunInvalid, match="no such field"):
        wait_until(lambda: list(watch.events()), 10, "it fails")
    watch.end()


def test_a_process_says_how_long_its_threads_have_waited() -> None:
    assert set(waited_ns(os.getpid())) >= {os.getpid()}
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert waited_ns(gone.pid) == {}
    assert stat_of(gone.pid) is None
    stat = stat_of(os.getpid())
    assert stat is not None
    assert (stat.parent, stat.start_ticks) == (os.getppid(), start_ticks(os.getpid()))
