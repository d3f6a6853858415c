"""What a user can get wrong, or a machine can lack: one line, the right exit code, no traces."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leftovers import dead_runs_of
from tests.system.command import SHORT, left_by_check, run

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
SCENARIO = """\
name: mine
claim: Something.
memory:
  reserve: 256
crunch: {kind: writeback, pages: 12000}
"""


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = dead_runs_of(tmp_path)
    yield
    assert dead_runs_of(tmp_path) - before == set()
    assert not (tmp_path / "runs").exists()


def fails(code: int, *arguments: str, before: tuple[str, ...] = ()) -> str:
    """Run to the end; returns the one line on stderr that is no progress."""
    command = run(*arguments, before=before)
    assert command.popen.returncode == code, (command.errors, command.output)
    assert command.output == ""
    assert left_by_check(command.popen.pid) == []
    (line,) = command.complaints
    assert line.startswith("crunchbed: ")
    return line.removeprefix("crunchbed: ")


# --- exit 2: the input


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reserve: 256", "reserv: 256", "mine.yaml:4: memory.reserv: "),
        ("reserve: 256", "reserve: many", "mine.yaml:4: memory.reserve: expected "),
        ("reserve: 256", "reserve: -5", "mine.yaml:4: memory.reserve: expected "),
        ("reserve: 256", "reserve: 99999", "mine.yaml:4: memory.reserve: expected fewer"),
        ("pages: 12000", "pages: -1", "mine.yaml:5: crunch.pages: expected "),
        ("pages: 12000", "pages: 1.5", "mine.yaml:5: crunch.pages: expected "),
        ("kind: writeback", "kind: flod", "mine.yaml:5: crunch.kind: expected "),
        ("claim: Something.\n", "", "mine.yaml:1: claim: "),
        ("claim: Something.", "claim: [", "mine.yaml:"),
        ("name: mine", "name: yours", "mine.yaml:1: name: expected 'mine'"),
    ],
)
def test_a_wrong_scenario(old: str, new: str, message: str) -> None:
    assert old in SCENARIO
    Path("mine.yaml").write_text(SCENARIO.replace(old, new))
    assert fails(2, "run", "mine.yaml").startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run nonesuch", "no scenario 'nonesuch'"),
        ("run nonesuch.yaml", "no scenario file nonesuch.yaml"),
        ("compare writeback-crunch --policies none,memaloc", "unknown policy 'memaloc'"),
        ("run writeback-crunch --policy nothing", "unknown policy 'nothing'"),
        ("run control --set memory.pages=-5", "override memory.pages: expected a whole number"),
        ("run control --set memory.page=5", "override memory.page: expected one of"),
        (
            "run control --set membership=corosync --set corosync.token=50ms",
            "override corosync.token: expected at least heartbeat.interval (100ms)",
        ),
        ("run control --seed -1", "Invalid value for '--seed'"),
    ],
)
def test_wrong_arguments(arguments: str, message: str) -> None:
    assert fails(2, *arguments.split()).startswith(message)


def test_a_directory_in_use() -> None:
    Path("out").mkdir()
    Path("out/mine").write_text("precious")
    for command in ("run", "compare"):
        line = fails(2, command, "control", "--out", "out")
        assert line == "--out out: expected a new or empty directory"
    assert [path.name for path in Path("out").iterdir()] == ["mine"]


def test_a_directory_that_is_a_file() -> None:
    Path("out").touch()
    assert "'out' is a file" in fails(2, "run", "control", "--out", "out")
    line = fails(2, "run", "control", "--out", "out/below")
    assert line == "out/below: cannot make the run directory (Not a directory)"


# --- disks


def disk(options: str) -> tuple[str, ...]:
    """What runs a command with a disk of its own at ``disk``, and lists it in ``listing``.

    Its mount namespace ends with it.
    """
    Path("disk").mkdir()
    mount = f"mount -t tmpfs -o {shlex.quote(options)} none disk"
    script = f'{mount} && {{ "$@"; code=$?; find disk > listing; exit $code; }}'
    return ("unshare", "--mount", "sh", "-c", script, "sh")


def listing() -> list[str]:
    return Path("listing").read_text().split()


def test_a_disk_that_is_read_only() -> None:
    line = fails(2, "run", "control", "--out", "disk/out", before=disk("ro"))
    assert line == "disk/out: cannot make the run directory (Read-only file system)"
    assert listing() == ["disk"]


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_a_disk_that_is_full(files: int) -> None:
    """From the beginning, or after a part was made."""
    full = disk(f"nr_inodes={files + 1}")  # the root is one
    line = fails(2, "run", "control", "--out", "disk/out", before=full)
    assert line == "disk/out: cannot make the run directory (No space left on device)"
    assert listing() == ["disk"]


@pytest.mark.parametrize("size", ["48k", "120k"])
def test_a_disk_that_fills_up_in_mid_run(size: str) -> None:
    """While the cluster starts, or later; whoever notices it first."""
    longer = ("--set", "phases.control=20s")
    arguments = ("run", "control", *SHORT, *longer, "--out", "disk/out")
    line = fails(3, *arguments, before=disk(f"size={size}"))
    where = re.escape(str(Path("disk/out").absolute()))
    assert re.fullmatch(f"{where}: cannot be written to: No space left on device", line), line
    assert "disk/out/result.json" not in listing()
    assert "disk/out/history/run.jsonl" in listing(), "what there is stays"


def test_an_iscsi_secret_that_the_target_does_not_know() -> None:
    chap = "{user: me, secret: twelve-chars, initiator_secret: another-one!}"
    line = fails(
        2,
        *("run", "control", *SHORT, "--out", "out", "--set", "cluster.switch=linux-bridge"),
        *("--set", "block_io.transport=iscsi", "--set", f"block_io.iscsi.chap={chap}"),
    )
    assert line.startswith("block_io.iscsi.chap: expected the same secret for target and initiat")
    assert "Authentication failure" in line


# --- exit 4: the machine


def as_nobody() -> tuple[str, ...]:
    """What takes root from a command; where nobody may read the sources, by a user namespace."""
    reachable = all(path.stat().st_mode & 0o005 == 0o005 for path in (ROOT, *ROOT.parents))
    if reachable:
        return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return ("unshare", "--user")


@pytest.mark.parametrize(
    "command", ["run control", "compare control", "clean"], ids=lambda each: each.split()[0]
)
def test_without_root(command: str) -> None:
    assert "needs root" in fails(4, *command.split(), before=as_nobody())


def test_without_open_vswitch() -> None:
    """Installed, and not running where it is looked for."""
    line = fails(4, "run", "control", before=("env", f"OVS_RUNDIR={Path.cwd()}"))
    assert line.startswith("this machine lacks open-vswitch (")
    assert "\n" not in line


def test_without_tools() -> None:
    """All that is missing is said at once."""
    Path("bin").mkdir()
    for tool in ("unshare", "tc", "ip", "ethtool", "ovs-vsctl", "ovs-appctl"):
        found = next(
            path
            for directory in os.environ["PATH"].split(":")
            if (path := Path(directory, tool)).exists()
        )
        Path("bin", tool).symlink_to(found)
    line = fails(4, "run", "control", before=("env", f"PATH={Path.cwd() / 'bin'}"))
    assert line.startswith("this machine lacks ")
    assert "nbdkit (no nbdkit in the path; make setup)" in line
    assert "mnexec (no mnexec in the path; make setup)" in line


def test_without_corosync() -> None:
    """Only a scenario that wants it asks for it."""
    corosync = shutil.which("corosync", path=f"{os.environ['PATH']}:/usr/sbin")
    hidden = f'mount --bind /dev/null {corosync} && exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", hidden, "sh") if corosync else ()
    line = fails(4, "run", "control", "--set", "membership=corosync", before=before)
    command = "apt-get install --no-install-recommends corosync"
    assert line == f"this machine lacks corosync (no corosync in the path; {command})"


def test_without_tgt() -> None:
    """Hidden by a mount of this command's own."""
    where = shutil.which("tgtd") or "/usr/sbin/tgtd"
    hide = f'mount --bind /dev/null {where} && exec "$@"'
    line = fails(
        4,
        *("run", "control", "--set", "block_io.transport=iscsi"),
        before=("unshare", "--mount", "sh", "-c", hide, "sh"),
    )
    assert line == "this machine lacks iscsi-target (no tgtd in the path; make setup)"


def test_a_switch_that_this_kernel_has_not() -> None:
    if Path("/sys/module/openvswitch").exists():
        pytest.skip("this kernel has openvswitch")
    line = fails(4, "run", "control", "--set", "cluster.switch=ovs-kernel")
    assert line.startswith(
        "this machine lacks ovs-kernel (not in this kernel; modprobe openvswitch"
    )
