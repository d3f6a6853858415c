"""``crunchbed audit --host`` on directories of machines: what is found, told and touched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from crunchbed.cli import app
from crunchbed.host.survey.survey import survey
from crunchbed.host.survey.tree import Tree
from crunchbed.risk.finding import KINDS
from crunchbed.risk.findings import findings_of
from reserve_agent.metrics import HOST_METRICS

HOSTS = Path(__file__).parent / "data" / "hosts"
"""``cloud-vm`` was recorded; the others are put together, in the same formats."""
NAMES = sorted(path.name for path in HOSTS.iterdir())
Captured = pytest.CaptureFixture[str]


def audited(name: str, capsys: Captured, *options: str) -> tuple[int, str]:
    """Return exit code and output of an audit of a recorded machine."""
    code = app.main(["audit", "--host", "--root", str(HOSTS / name), *options])
    return code, capsys.readouterr().out


def told(name: str, capsys: Captured) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON."""
    code, text = audited(name, capsys, "--json")
    return code, orjson.loads(text)


def kinds(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return severity, kind and subject of each finding."""
    return [(one["severity"], one["kind"], one["subject"]) for one in record["findings"]]


def test_a_guest_that_swaps_over_nbd_behind_virtio_net_can_stand_still(capsys: Captured) -> None:
    code, record = told("guest-nbd-swap", capsys)
    assert code == 1
    assert kinds(record) == [
        ("error", "card_never_draws", "enp1s0"),
        ("warning", "swap_on_network", "/dev/nbd0p1"),
        ("warning", "reserve_too_small", "vm.min_free_kbytes"),
        ("warning", "reclaim_throttled", "pgscan_direct_throttle"),
        ("warning", "allocation_failed", "page allocation failure"),
    ]
    assert [one["name"] for one in record["storages"]] == ["nbd0"], "nbd1 is not connected"
    assert record["rules"] == "as read in Linux 6.1.192"
    failure = record["findings"][-1]["seen"]
    assert failure.startswith("/dev/kmsg: kworker/0:1H: page allocation failure: order:3")


def test_the_need_is_what_a_send_buffer_and_a_card_can_hold(capsys: Captured) -> None:
    """A send buffer of 4 MiB has 3 requests of 1280 KiB: 3 x (321 + 1 + 1), 8, 50 for the card."""
    _, record = told("guest-nbd-swap", capsys)
    need = record["need"]
    assert [term["pages"] for term in need["terms"]] == [969, 8, 50]
    assert (need["pages"], need["given_pages"]) == (1027, 1024 * 3 // 8)
    assert need["min_pages"] == 2739
    assert need["min_pages"] * 3 // 8 == 1027
    assert record["findings"][2]["next"] == "sysctl vm.min_free_kbytes=10956"


def test_drbd_8_corosync_and_dlm_are_at_risk_though_igb_always_asks(capsys: Captured) -> None:
    code, record = told("drbd-corosync-igb", capsys)
    assert code == 1
    assert kinds(record) == [
        ("warning", "storage_not_memalloc", "drbd0"),
        ("warning", "locks_not_memalloc", "clvmd"),
        ("warning", "daemon_not_memalloc", "corosync"),
        ("warning", "daemon_not_memalloc", "sbd"),
        ("warning", "packets_dropped", "PFMemallocDrop"),
    ]
    cards = [(one["name"], one["draws"]) for one in record["interfaces"]]
    assert cards == [("eno1", "always"), ("eno2", "always")]
    assert record["swaps"][0]["storage"] is None
    assert record["need"]["terms"] == []


def test_a_newer_drbd_is_memalloc(tmp_path: Path) -> None:
    shutil.copytree(HOSTS / "drbd-corosync-igb", tmp_path / "host", symlinks=True)
    (tmp_path / "host/sys/module/drbd/version").write_text("9.2.16\n")
    assert app.main(["audit", "--host", "--root", str(tmp_path / "host"), "--json"]) == 1
    machine = survey(tmp_path / "host")
    assert [one.version for one in machine.storages] == ["9.2.16"]


def test_a_laptop_has_nothing_at_risk(capsys: Captured) -> None:
    code, record = told("laptop", capsys)
    assert code == 0
    assert kinds(record) == [
        ("note", "card_not_known", "wlp2s0"),
        ("note", "oom_killed", "oom_kill"),
    ]
    assert record["past"]["failed_allocations"] == 0
    assert record["rules"] == "as read in Linux 6.12.117"


def test_a_recorded_machine_is_read(capsys: Captured) -> None:
    code, record = told("cloud-vm", capsys)
    assert code == 0
    assert kinds(record) == [("note", "card_never_draws", "eth0")]
    assert record["memory"] == {
        "min_free_kib": 67584,
        "min_pages": 22 + 4544 + 12329 + 32,
        "largest_zone": "node 0 Normal",
        "largest_min_pages": 12329,
        "send_buffer_bytes": 4 << 20,
    }
    assert record["past"]["pfmemalloc_drops"] == 0
    assert record["past"]["reclaim_throttled"] == 0
    assert record["rules"].endswith("6.18.44-fc-v657 has not been read")


def test_storage_is_found_below_partitions_volumes_and_files(capsys: Captured) -> None:
    code, record = told("diskless-iscsi-nfs", capsys)
    assert code == 1
    users = {one["name"]: (one["user"], one["memalloc"]) for one in record["storages"]}
    assert users == {
        "rbd0": ("rbd", False),
        "session1": ("iscsi_tcp", True),
        "nvme3": ("nvme-tcp", True),
        "/srv/nfs": ("nfs", True),
        "/mnt/win": ("cifs", False),
        "wg0": ("wireguard", True),
    }
    swaps = {one["name"]: one["storage"] for one in record["swaps"]}
    assert swaps == {"/dev/dm-1": "session1", "/srv/nfs/swap file": "/srv/nfs"}
    assert ("error", "card_never_draws", "eth0") in kinds(record), "iavf since libeth"
    assert ("warning", "not_throttled", "wg0") in kinds(record)
    assert ("warning", "daemon_not_locked", "etcd") in kinds(record)


def test_swap_over_a_plain_socket_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    shutil.copytree(HOSTS / "diskless-iscsi-nfs", tmp_path / "host", symlinks=True)
    swaps = tmp_path / "host/proc/swaps"
    swaps.write_text(swaps.read_text().replace("/dev/dm-1", "/dev/rbd0"))
    (tmp_path / "host/sys/class/block/rbd0").symlink_to("../../devices/virtual/block/rbd0")
    assert app.main(["audit", "--host", "--root", str(tmp_path / "host"), "--json"]) == 1
    record = orjson.loads(capsys.readouterr().out)
    assert ("error", "swap_not_memalloc", "/dev/rbd0") in kinds(record)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_has_evidence_and_a_next_step(name: str, capsys: Captured) -> None:
    _, record = told(name, capsys)
    for one in record["findings"]:
        assert one["kind"] in KINDS
        assert one["next"]
        path = one["seen"].split()[0].rstrip(":")
        assert os.path.lexists(HOSTS / name / path.lstrip("/")), one
    _, text = audited(name, capsys)
    assert text.count("\n         seen: ") == text.count("\n         next: ")
    assert len(record["findings"]) == text.count("\n         seen: ")
    assert max(map(len, re.findall(r"(?m)^interface.*$|^(?:en|eth).*$", text))) < 120


def test_people_get_a_verdict_in_the_last_line(capsys: Captured) -> None:
    assert audited("laptop", capsys)[1].splitlines()[-1] == (
        "no risk found: 0 errors, 0 warnings, 2 notes"
    )
    assert audited("guest-nbd-swap", capsys)[1].splitlines()[-1] == (
        "at risk: 1 error, 4 warnings, 0 notes"
    )


def test_metrics_are_those_of_the_table_and_prometheus_reads_them(capsys: Captured) -> None:
    code, text = audited("guest-nbd-swap", capsys, "--metrics")
    assert code == 1
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert len(families) == len(HOST_METRICS)
    needed = families["crunchbed_host_reserve_needed_pages"].samples
    assert [(one.labels, one.value) for one in needed] == [({"node": "guest1"}, 1027.0)]
    counts = families["crunchbed_host_findings"].samples
    assert {one.labels["severity"]: one.value for one in counts} == {
        "error": 1,
        "warning": 4,
        "note": 0,
    }


def snapshot(root: Path) -> Iterator[tuple[str, int, int]]:
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        yield str(path), seen.st_mtime_ns, seen.st_size


def test_nothing_is_written(tmp_path: Path, capsys: Captured) -> None:
    shutil.copytree(HOSTS / "diskless-iscsi-nfs", tmp_path / "host", symlinks=True)
    before = list(snapshot(tmp_path))
    assert app.main(["audit", "--host", "--root", str(tmp_path / "host")]) == 1
    assert capsys.readouterr().out
    assert list(snapshot(tmp_path)) == before


def test_what_cannot_be_read_is_named_and_is_no_value(tmp_path: Path, capsys: Captured) -> None:
    """A directory in a file's place cannot be read, by root either."""
    shutil.copytree(HOSTS / "laptop", tmp_path / "host", symlinks=True)
    (tmp_path / "host/proc/zoneinfo").unlink()
    (tmp_path / "host/proc/zoneinfo").mkdir()
    (tmp_path / "host/var/log/kern.log").unlink()
    assert app.main(["audit", "--host", "--root", str(tmp_path / "host")]) == 0
    text = capsys.readouterr().out
    assert "not read: /proc/zoneinfo: is a directory" in text
    assert re.search(r"(?m)^min watermarks, pages +not read$", text)
    assert re.search(r"(?m)^failed allocations in the log +not read$", text)


def test_links_do_not_lead_out_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of this machine")
    (tmp_path / "host").mkdir()
    (tmp_path / "host/out").symlink_to(tmp_path / "secret")
    tree = Tree(tmp_path / "host")
    assert tree.text("/out") is None
    assert list(tree.unread) == ["/out"]


@pytest.mark.parametrize("garbage", [b"", b"\n\n", b"min\nVmLck:\n\xff\x00 x y z\n- - -\n", b"-1"])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_no_traceback(name: str, garbage: bytes, tmp_path: Path) -> None:
    """Each file of a machine in turn, then all of them."""
    shutil.copytree(HOSTS / name, tmp_path / "host", symlinks=True)
    files = [one for one in sorted((tmp_path / "host").rglob("*")) if one.is_file()]
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(garbage)
        findings_of(survey(tmp_path / "host"))
        file.write_bytes(whole)
    for file in files:
        file.write_bytes(garbage)
    findings_of(survey(tmp_path / "host"))


def test_without_proc_nothing_can_be_said(tmp_path: Path, capsys: Captured) -> None:
    assert app.main(["audit", "--host", "--root", str(tmp_path)]) == 4
    assert "/proc/sys/kernel/osrelease is not there; mount /proc" in capsys.readouterr().err
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.1.0\n")
    assert app.main(["audit", "--host", "--root", str(tmp_path)]) == 4
    assert "/sys/class is not there; mount /sys" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--metrics"], "--root and --metrics need --host"),
        (["--root", "/"], "--root and --metrics need --host"),
        (["--host", "control"], "--host audits this machine: no SCENARIO"),
        (["--host", "--seconds", "3"], "--host audits this machine: no SCENARIO"),
        (["--host", "--json", "--metrics"], "expected one of them"),
        (["--host", "--root", "/nowhere/at/all"], "expected a directory that has /proc and /sys"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str], why: str, capsys: Captured
) -> None:
    assert app.main(["audit", *options]) == 2
    assert why in capsys.readouterr().err


def test_this_machine_can_be_audited(capsys: Captured) -> None:
    assert app.main(["audit", "--host"]) in (0, 1)
    assert "vm.min_free_kbytes" in capsys.readouterr().out
