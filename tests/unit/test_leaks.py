"""What counts as a run's trace, on made-up directory trees."""

import os
import subprocess
from pathlib import Path

import pytest

from crunchbed.host import leaks
from crunchbed.host.leaks import Leak, Machine
from crunchbed.host.run_ids import RecordedProcess, RunClaim, RunRecord
from nodes.process import start_ticks
from reserve_agent.errors import CrunchbedError, MissingRequirement


class FakeMachine:
    """Directories for everything that the kernel or a daemon would show."""

    def __init__(self, root: Path) -> None:
        self.links: list[str] = []
        self.bridges: dict[str, str] = {}
        self.machine = Machine(
            state=root / "run",
            pins=root / "bpf",
            proc=root / "proc",
            bridges=lambda: self.bridges,
            links=lambda: self.links,
            find_cgroups=lambda: root / "cgroup",
        )
        for name in ("run", "bpf", "proc/net", "cgroup"):
            (root / name).mkdir(parents=True)
        (root / "proc/net/unix").write_text("Num RefCount Protocol Flags Type St Inode Path\n")

    def add_process(self, pid: int, *argv: str, ticks: int = 100) -> None:
        directory = self.machine.proc / str(pid)
        directory.mkdir()
        (directory / "cmdline").write_bytes(b"".join(arg.encode() + b"\0" for arg in argv))
        (directory / "comm").write_text(f"{argv[0]}\n")
        rest = " ".join(["S", "1", *["0"] * 17, str(ticks)])
        (directory / "stat").write_text(f"{pid} ({argv[0]}) {rest}\n")

    def add_state(self, run_id: str, owner: RecordedProcess, *processes: RecordedProcess) -> None:
        (self.machine.state / run_id).mkdir()
        record = RunRecord(run_id, owner, None, processes)
        (self.machine.state / run_id / "run.json").write_bytes(record.to_json())

    def found(self, run_id: str) -> list[tuple[str, str]]:
        root = str(self.machine.state.parent)
        found = leaks.find(run_id, self.machine)
        return [(leak.kind, leak.name.removeprefix(f"{root}/")) for leak in found]


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def test_links_by_exact_name(fake: FakeMachine) -> None:
    mine = ["k3xqn1-eth0", "k3xqn12-eth0", "k3xqs1", "k3xqs1-eth1", "k3xqs1-eth33", "k3xqst-eth0"]
    others = ["k3xq", "k3xqs", "k3xqsw0", "k3xqnet", "k3xqs1-eth1.5", "ak3xqs1", "lo", "abcds1"]
    fake.links = others + mine
    assert fake.found("k3xq") == [("link", name) for name in mine]


def test_a_bridge_is_ours_by_its_mark_alone(fake: FakeMachine) -> None:
    fake.links = ["k3xqs1", "k3xqs1-eth1"]
    fake.bridges = {"k3xqs1": "k3xq", "abcds1": "abcd"}
    assert fake.found("k3xq") == [("bridge", "k3xqs1"), ("link", "k3xqs1-eth1")]


def test_shells_by_exact_name(fake: FakeMachine) -> None:
    bash = ("bash", "--norc", "--noediting", "-is")
    fake.add_process(10, *bash, "mininet:k3xqn1")
    fake.add_process(11, "mnexec", "-cdn", "env", *bash, "mininet:k3xqst")
    fake.add_process(12, *bash, "mininet:k3xqs1")
    fake.add_process(13, *bash, "mininet:h1")
    fake.add_process(14, *bash, "mininet:k3xqn1x")
    fake.add_process(15, "vi", "mininet:k3xqn1")
    fake.add_process(16, *bash, "mininet:k3xqn1", "echo")
    assert [name for _, name in fake.found("k3xq")] == ["10 (bash)", "11 (mnexec)", "12 (bash)"]


def test_recorded_processes_unless_recycled(fake: FakeMachine) -> None:
    for pid in (20, 21):
        fake.add_process(pid, "nbdkit", ticks=500)
    owner = RecordedProcess("runner", 1, 1)
    same, other = (RecordedProcess("nbdkit", pid, ticks) for pid, ticks in ((20, 500), (21, 499)))
    gone = RecordedProcess("nbdkit", 22, 500)
    fake.add_state("k3xq", owner, same, other, gone)
    assert fake.found("k3xq") == [("process", "20 (nbdkit)"), ("state", "run/k3xq")]


def test_cgroups_and_pins_and_what_runs_in_them(fake: FakeMachine) -> None:
    fake.add_process(30, "python")
    group = fake.machine.state.parent / "cgroup" / "crunchbed-k3xq" / "n1"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("30\n0\n31\n")
    (fake.machine.pins / "crunchbed-k3xq" / "n1").mkdir(parents=True)
    assert fake.found("k3xq") == [
        ("process", "30 (python)"),
        ("pin", "bpf/crunchbed-k3xq"),
        ("cgroup", "cgroup/crunchbed-k3xq"),
    ]


def test_ids_come_from_marks_alone(fake: FakeMachine) -> None:
    fake.links = ["aaaas1", "aaaan1-eth0"]
    fake.add_process(10, "bash", "-is", "mininet:bbbbn1")
    root = fake.machine.state.parent
    for name in ("run/cccc", "cgroup/crunchbed-dddd", "bpf/crunchbed-eeee", "cgroup/system.slice"):
        (root / name).mkdir()
    for name in ("run/README", "run/toolong", "bpf/crunchbed-TOO", "cgroup/mycrunchbed-gggg"):
        (root / name).mkdir()
    fake.bridges = {"ffffs1": "ffff", "br0": "not an id"}
    assert leaks.known_runs(fake.machine) == {"cccc", "dddd", "eeee", "ffff"}


def test_a_live_run_is_not_dead(fake: FakeMachine) -> None:
    fake.add_process(40, "crunchbed", ticks=700)
    fake.add_state("live", RecordedProcess("runner", 40, 700))
    fake.add_state("dead", RecordedProcess("runner", 40, 699))
    (fake.machine.state / "lock").mkdir()
    (fake.machine.state / "none").mkdir()
    with (fake.machine.proc / "net/unix").open("a") as table:
        table.write("00000000a: 00000002 00000000 00000000 0001 01 12345 @crunchbed-lock\n")
    assert leaks.dead_runs(fake.machine) == ["dead", "none"]
    assert leaks.clean_run("live", fake.machine) == {}
    assert (fake.machine.state / "live").is_dir()


def test_cleaning_ends_with_the_state(fake: FakeMachine) -> None:
    pins = fake.machine.pins / "crunchbed-k3xq"
    (pins / "n1").mkdir(parents=True)
    (pins / "n1" / "map").touch()
    fake.add_state("k3xq", RecordedProcess("runner", 1, 1))
    outcome = leaks.clean_run("k3xq", fake.machine)
    assert [(leak.kind, reason) for leak, reason in outcome.items()] == [
        ("pin", None),
        ("state", None),
    ]
    assert leaks.known_runs(fake.machine) == set()


def test_what_cannot_go_keeps_the_state(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_directory: Path) -> None:
        raise CrunchbedError("it is busy")

    monkeypatch.setattr(leaks, "remove_cgroup", refuse)
    (fake.machine.state.parent / "cgroup" / "crunchbed-k3xq").mkdir()
    fake.add_state("k3xq", RecordedProcess("runner", 1, 1))
    outcome = leaks.clean_run("k3xq", fake.machine)
    assert [(leak.kind, reason) for leak, reason in outcome.items()] == [("cgroup", "it is busy")]
    assert leaks.dead_runs(fake.machine) == ["k3xq"]


def test_without_cgroup_v2_the_rest_is_found(fake: FakeMachine) -> None:
    def none() -> Path:
        raise MissingRequirement("no cgroup v2 hierarchy")

    machine = Machine(
        state=fake.machine.state,
        pins=fake.machine.pins,
        proc=fake.machine.proc,
        bridges=dict,
        links=lambda: ["k3xqs1-eth1"],
        find_cgroups=none,
    )
    assert [leak.name for leak in leaks.find("k3xq", machine)] == ["k3xqs1-eth1"]


def test_removing_a_process_asks_who_it_is() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        ticks = start_ticks(child.pid)
        assert ticks is not None
        recycled = RecordedProcess("sleep", child.pid, ticks - 1)
        leaks.remove(Leak("process", "it", recycled))
        assert child.poll() is None
        leaks.remove(Leak("process", "it", RecordedProcess("sleep", child.pid, ticks)))
        assert child.wait(10) == -9


def test_the_cleaner_does_not_clean_itself_away(tmp_path: Path) -> None:
    with RunClaim.claim(tmp_path) as state:
        ticks = start_ticks(os.getpid())
        assert ticks is not None
        myself = RecordedProcess("me", os.getpid(), ticks)
        record = RunRecord(state.run_id, myself, None, (myself,))
        (state.path / "run.json").write_bytes(record.to_json())
        machine = Machine(state=tmp_path, bridges=dict, links=list, pins=tmp_path / "none")
        assert [leak.kind for leak in leaks.find(state.run_id, machine)] == ["state"]


def test_targets_of_a_dead_run_are_removed_and_those_of_others_stay(fake: FakeMachine) -> None:
    directory = fake.machine.state / "targets"
    directory.mkdir()
    for name in ("k3xq-n1.json", "k3xq-n2.part", "abcd-n1.json"):
        (directory / name).write_text("[]")
    found = [("target", "run/targets/k3xq-n1.json"), ("target", "run/targets/k3xq-n2.part")]
    assert fake.found("k3xq") == found
    for leak in leaks.find("k3xq", fake.machine):
        leaks.remove(leak)
    assert [path.name for path in directory.iterdir()] == ["abcd-n1.json"]
    assert leaks.known_runs(fake.machine) == set()
