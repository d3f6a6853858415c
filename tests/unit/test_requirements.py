"""What a machine has and lacks, told of machines that are made up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.cli import check
from crunchbed.host import requirements, room
from crunchbed.host.probes import hooks, system
from crunchbed.host.probes.machine import NOT_TRIED, Answer, Machine, run_command
from crunchbed.host.requirements import (
    REQUIREMENTS,
    Finding,
    Requirement,
    missing,
    probe_all,
    require,
    requirement,
)
from crunchbed.scenario.loader import load, shipped
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import MissingRequirement

OK = Answer(ok=True, output="", reason="")
V1_AND_V2 = """\
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
bpf /sys/fs/bpf bpf rw,relatime 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"


def named(*names: str) -> list[Requirement]:
    return [requirement(name) for name in names]


def names_needed_by(scenario: Scenario) -> set[str]:
    return {each.name for each in needed_by(scenario)}


def machine(
    root: Path,
    mounts: str = V1_AND_V2,
    run: Callable[[Sequence[str]], Answer] = lambda _argv: OK,
    have: Sequence[str] = (),
    euid: int = 0,
    free: int | None = None,
) -> Machine:
    table = root / "proc/self/mounts"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(mounts)
    return Machine(
        root=root,
        run=run,
        free_bytes=lambda _path: free,
        which=lambda name: f"/usr/bin/{name}" if name in have else None,
        importable=lambda name: name in have,
        loadable=lambda name: None if name in have else f"{name}: cannot open shared object file",
        euid=lambda: euid,
    )


def test_every_requirement_says_what_for_and_what_brings_it() -> None:
    for name, each in REQUIREMENTS.items():
        assert name == each.name
        assert each.needed_for
        assert each.remedy


def test_files_tools_and_modules(tmp_path: Path) -> None:
    here = machine(tmp_path, have=["nbdkit", "nbd"])
    (tmp_path / "btf").touch()
    assert system.file("/btf")(here).present
    assert not system.file("/other")(here).present
    assert system.tool("nbdkit")(here) == (True, "/usr/bin/nbdkit")
    assert not system.tool("corosync")(here).present
    assert system.module("nbd")(here).present
    assert not system.library("libiscsi.so.7")(here).present
    assert system.library("libc.so.6")(Machine()).present
    assert not system.library("libnothing.so.9")(Machine()).present
    assert not system.module("mininet")(here).present


def test_bpffs_counts_only_where_objects_get_pinned(tmp_path: Path) -> None:
    assert system.bpffs(machine(tmp_path)).present
    assert not system.bpffs(machine(tmp_path, "bpf /run/bpf bpf rw 0 0\n")).present


def test_cgroup_hierarchies(tmp_path: Path) -> None:
    both = machine(tmp_path)
    assert system.cgroup2(both) == (True, "/sys/fs/cgroup/unified")
    assert system.memory_cgroup(both) == (True, "version 1, /sys/fs/cgroup/memory")

    neither = machine(tmp_path, "proc /proc proc rw 0 0\n")
    assert not system.cgroup2(neither).present
    assert not system.memory_cgroup(neither).present


@pytest.mark.parametrize(("controllers", "present"), [("cpu memory\n", True), ("cpu\n", False)])
def test_memory_controller_of_cgroup_2(tmp_path: Path, controllers: str, present: bool) -> None:
    unified = machine(tmp_path, V2)
    listing = tmp_path / "sys/fs/cgroup/cgroup.controllers"
    listing.parent.mkdir(parents=True)
    listing.write_text(controllers)
    assert system.memory_cgroup(unified).present is present


def test_network_is_tried_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def refuse(argv: Sequence[str]) -> Answer:
        asked.append(argv)
        return Answer(ok=False, output="", reason="Unknown device type")

    seen = system.link("crunchbed", "type", "bridge")(machine(tmp_path, run=refuse))
    assert seen == (False, "Unknown device type")
    assert asked == [("unshare", "--net", "ip", "link", "add", "crunchbed", "type", "bridge")]
    assert system.qdisc("tbf")(machine(tmp_path)).present


def test_userspace_switching_takes_tap_interfaces(tmp_path: Path) -> None:
    here = machine(tmp_path, run=lambda _argv: Answer(ok=True, output="[netdev]", reason=""))
    assert system.ovs_userspace(here) == (False, "no /dev/net/tun")
    (tmp_path / "dev/net").mkdir(parents=True)
    (tmp_path / "dev/net/tun").touch()
    assert system.ovs_userspace(here) == (True, "datapath types [netdev]")


def test_hooks_are_tried_in_an_empty_cgroup_that_goes_again(tmp_path: Path) -> None:
    hierarchy = tmp_path / "unified"
    hierarchy.mkdir()
    during: list[list[Path]] = []

    def run(argv: Sequence[str]) -> Answer:
        during.append(list(hierarchy.iterdir()))
        assert Path(argv[-1]) in during[0]
        reasons = {"bpf-tc": "", "bpf-sockopt": "load: Invalid argument"}
        return Answer(ok=True, output=json.dumps(reasons), reason="")

    here = machine(tmp_path, f"cgroup2 {hierarchy} cgroup2 rw 0 0\n", run)
    assert hooks.hook("bpf-tc")(here).present
    assert hooks.hook("bpf-sockopt")(here) == (False, "load: Invalid argument")
    assert len(during) == 1, "one process tries them all"
    assert list(hierarchy.iterdir()) == []


def test_hooks_that_cannot_be_tried_say_why(tmp_path: Path) -> None:
    hierarchy = tmp_path / "unified"
    hierarchy.mkdir()
    mounts = f"cgroup2 {hierarchy} cgroup2 rw 0 0\n"
    broken = machine(
        tmp_path, mounts, lambda _argv: Answer(ok=False, output="", reason="no unshare")
    )
    assert hooks.hook("bpf-tc")(broken) == (False, "no unshare")
    assert list(hierarchy.iterdir()) == []
    nowhere = machine(tmp_path, "proc /proc proc rw 0 0\n")
    assert "cgroup v2" in hooks.hook("bpf-tc")(nowhere).detail


def test_without_root_nothing_is_run_and_the_remedy_is_root(tmp_path: Path) -> None:
    def never(argv: Sequence[str]) -> Answer:
        raise AssertionError(argv)

    findings = {each.name: each for each in probe_all(machine(tmp_path, run=never, euid=1000))}
    assert not findings["root"].present
    for name in ("bpf-tc", "tbf", "open-vswitch", "ovs-kernel", "netem"):
        assert findings[name].detail == NOT_TRIED.detail
        assert findings[name].remedy == requirements.ROOT


def test_missing_looks_only_for_what_was_asked(tmp_path: Path) -> None:
    here = machine(tmp_path, have=["nbdkit"])
    assert [each.name for each in missing(named("nbdkit", "corosync", "ethtool"), here)] == [
        "corosync",
        "ethtool",
    ]
    with pytest.raises(KeyError):
        missing(named("no such requirement"), here)


def test_require_names_everything_in_one_line(tmp_path: Path) -> None:
    require(named("nbdkit"), machine(tmp_path, have=["nbdkit"]))
    with pytest.raises(MissingRequirement) as caught:
        require(named("nbdkit", "corosync"), machine(tmp_path))
    assert str(caught.value) == (
        "this machine lacks nbdkit (no nbdkit in the path; make setup), corosync (no corosync "
        "in the path; apt-get install --no-install-recommends corosync)"
    )
    with pytest.raises(MissingRequirement, match=r"^this needs root[^\n]*$"):
        require(named("root", "bpf-tc", "nbdkit"), machine(tmp_path, euid=1000))


def test_a_run_over_iscsi_needs_its_target_and_its_library(tmp_path: Path) -> None:
    scenario = load("control")
    assert not {"iscsi-target", "iscsi-initiator"} & names_needed_by(scenario)
    wanted = needed_by(scenario.with_overrides({"block_io.transport": "iscsi"}))
    names = {each.name for each in wanted}
    assert names_needed_by(scenario) - names == {"nbdkit"}
    assert names - names_needed_by(scenario) == {"iscsi-target", "iscsi-initiator"}
    iscsi = [each for each in wanted if each.name.startswith("iscsi-")]
    require(iscsi, machine(tmp_path, have=["tgtd", "libiscsi.so.7"]))
    with pytest.raises(MissingRequirement) as caught:
        require(iscsi, machine(tmp_path))
    assert str(caught.value) == (
        "this machine lacks iscsi-target (no tgtd in the path; make setup), iscsi-initiator "
        "(libiscsi.so.7: cannot open shared object file; make setup)"
    )


def test_the_disk_behind_the_target_needs_room(tmp_path: Path) -> None:
    def wanted(**settings: str) -> list[Requirement]:
        scenario = load("control").with_overrides(
            {f"block_io.{key}": value for key, value in settings.items()}
        )
        return [each for each in needed_by(scenario) if each.name == "disk-room"]

    small = machine(tmp_path, free=200 << 20)
    with pytest.raises(MissingRequirement) as caught:
        require(wanted(), small)
    assert str(caught.value) == (
        "this machine lacks disk-room (/run/crunchbed has 200 MiB free, 256 MiB are needed; make "
        "room in /run/crunchbed, or --set block_io.export=64MiB or less)"
    )
    assert caught.value.exit_code == 4
    require(wanted(export="64MiB"), small)
    require(wanted(), machine(tmp_path, free=None))
    # More than the links can bring in the time of a run is never written.
    (huge,) = wanted(export="1024GiB")
    assert not huge.probe(small).present
    require([huge], machine(tmp_path, free=4 << 30))


def test_room_is_that_of_the_disk_of_the_nearest_directory(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    free = room.free_bytes(tmp_path / "none" / "yet")
    assert free is not None
    assert abs(free - disk.f_bavail * disk.f_frsize) < 1 << 30
    assert not room.is_full(tmp_path)


@pytest.mark.parametrize(
    ("switch", "names"),
    [
        ("auto", {"open-vswitch", "ovs-userspace"}),
        ("ovs-user", {"open-vswitch", "ovs-userspace"}),
        ("ovs-kernel", {"open-vswitch", "ovs-kernel"}),
        ("linux-bridge", {"linux-bridge"}),
    ],
)
def test_a_switch_is_needed_where_the_scenario_has_it(switch: str, names: set[str]) -> None:
    every = {"open-vswitch", "ovs-userspace", "ovs-kernel", "linux-bridge"}
    scenario = load("control").with_overrides({"cluster.switch": switch})
    assert names_needed_by(scenario) & every == names


def test_what_the_shipped_scenarios_need_is_what_check_calls_required() -> None:
    needed = set[str]().union(*(names_needed_by(load(name)) for name in shipped()))
    required = {name for name, each in REQUIREMENTS.items() if each.required}
    only_some = {"os-ken", "corosync", "libquorum", "libcmap", "iscsi-target", "iscsi-initiator"}
    assert needed - only_some == required


def test_a_command_that_fails_gives_its_last_words() -> None:
    said = run_command(("sh", "-c", "echo first >&2; echo 'Error: the last.' >&2; exit 3"))
    assert said == (False, "", "the last")
    assert run_command(("sh", "-c", "exit 3")).reason == "sh: exit status 3"
    assert run_command(("no-such-program",)).reason == "no-such-program is not installed"
    assert run_command(("echo", "hello")) == (True, "hello", "echo: exit status 0")


def finding(name: str, *, present: bool, required: bool) -> Finding:
    return Finding(name, present, required, "seen [so]", "something", "bring it")


@pytest.mark.parametrize(
    ("present", "required", "code", "verdict"),
    [
        (True, True, 0, "all that is required is here"),
        (
            *(False, False, 0),
            "all that is required is here; not here, and asked for by some scenarios: nbdkit",
        ),
        (False, True, 4, "missing: nbdkit"),
    ],
)
def test_check_exits_with_4_if_something_required_is_missing(
    monkeypatch: pytest.MonkeyPatch, present: bool, required: bool, code: int, verdict: str
) -> None:
    findings = [finding("nbdkit", present=present, required=required)]
    monkeypatch.setattr(check, "probe_all", lambda: findings)
    result = CliRunner().invoke(check.check)
    assert result.exit_code == code
    assert result.output.splitlines()[-1] == verdict
    assert "seen [so]" in result.output
    assert ("bring it" in result.output) is not present


def test_check_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [finding("nbdkit", present=False, required=True)]
    monkeypatch.setattr(check, "probe_all", lambda: findings)
    result = CliRunner().invoke(check.check, ["--json"])
    assert result.exit_code == 4
    report = json.loads(result.output)
    assert report["ok"] is False
    assert report["findings"][0] == {
        "name": "nbdkit",
        "present": False,
        "required": True,
        "detail": "seen [so]",
        "needed_for": "something",
        "remedy": "bring it",
    }
