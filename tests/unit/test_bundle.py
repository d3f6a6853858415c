"""Bundles: packed, judged again anywhere, and refused where they are damaged."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from crunchbed.archive.bundle import pack, unpack
from crunchbed.cli import app
from reserve_agent.errors import BadInput, CrunchbedError
from tests.unit.judged_runs import ejecting_run, good_run
from tests.unit.test_rejudge import write_run

Captured = pytest.CaptureFixture[str]
Members = dict[str, bytes]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "run", ejecting_run())
    (run / "captures").mkdir()
    (run / "captures" / "n1.pcap").write_bytes(b"packets")
    path = tmp_path / "run.crunchbed.tar.gz"
    pack(run, path)
    return path


def members(path: Path) -> Members:
    with tarfile.open(path) as archive:
        return {e.name: archive.extractfile(e).read() for e in archive}  # type: ignore[union-attr]


def rewrite(path: Path, content: Members, link: str | None = None) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        if link is not None:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)


def test_a_bundle_has_all_that_a_verdict_needs_and_the_logs(bundle: Path, tmp_path: Path) -> None:
    names = set(members(bundle)) - {"kernel-config"}
    assert names == {
        *("manifest.json", "scenario.json", "run.json", "history.jsonl", "result.json"),
        *("logs/n1-agent.log", "captures/n1.pcap"),
    }
    manifest = unpack(bundle, tmp_path / "out")
    assert manifest.verdict == "fail"
    for name in ("history.jsonl", "result.json", "logs/n1-agent.log", "captures/n1.pcap"):
        packed, kept = tmp_path / "out" / name, tmp_path / "run" / name
        assert packed.read_bytes() == kept.read_bytes()


def test_the_same_run_makes_the_same_archive(bundle: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "run").rglob("*"):
        os.utime(path, (5, 5))
    pack(tmp_path / "run", tmp_path / "again.gz")
    assert (tmp_path / "again.gz").read_bytes() == bundle.read_bytes()


def test_captures_can_stay_out_and_secrets_do(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", good_run())
    scenario = orjson.loads((run / "scenario.json").read_bytes())
    chap = {"user": "ann", "secret": "sesame-sesame", "initiator_secret": "mellon-mellon"}
    scenario["block_io"]["iscsi"]["chap"] = chap
    scenario["block_io"]["transport"] = "iscsi"
    (run / "scenario.json").write_bytes(orjson.dumps(scenario))
    (run / "captures").mkdir()
    (run / "captures" / "n1.pcap").write_bytes(b"packets")
    pack(run, tmp_path / "b.gz", captures=False)
    content = members(tmp_path / "b.gz")
    assert "captures/n1.pcap" not in content
    assert b"sesame" not in content["scenario.json"]
    assert b"mellon" not in content["scenario.json"]
    assert app.main(["judge", str(tmp_path / "b.gz")]) == 0


def test_a_bundle_is_judged_as_its_run_was(bundle: Path, capsys: Captured) -> None:
    assert app.main(["judge", str(bundle), "--json"]) == 1
    record = orjson.loads(capsys.readouterr().out)
    assert record.pop("recorded") == {"verdict": "fail", "changed": {}}
    assert record == orjson.loads((bundle.parent / "run" / "result.json").read_bytes())


def test_what_todays_checks_find_otherwise_is_told(tmp_path: Path, capsys: Captured) -> None:
    run = write_run(tmp_path / "run", good_run())
    old = orjson.loads((run / "result.json").read_bytes())
    old["verdict"], old["totals"]["heartbeats_missed"] = "fail", 7
    del old["totals"]["flaps"]  # a figure that was not known then
    (run / "result.json").write_bytes(orjson.dumps(old))
    assert app.main(["judge", str(run)]) == 0
    out = capsys.readouterr().out
    assert "verdict then: fail; today: pass" in out
    assert "computed otherwise today: heartbeats_missed: 7 then, 0 today" in out
    assert out.count("computed otherwise") == 1


def test_bundle_and_judge_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_run(tmp_path / "last", good_run())
    monkeypatch.chdir(tmp_path)
    assert app.main(["bundle", "last"]) == 0
    assert capsys.readouterr().out.startswith("last.crunchbed.tar.gz: ")
    assert app.main(["judge", "last.crunchbed.tar.gz", "--out", "kept", "--junit", "x.xml"]) == 0
    assert "verdict then: pass, bundled by crunchbed 0.1.0; today: pass" in capsys.readouterr().out
    assert (tmp_path / "kept" / "history.jsonl").exists()
    assert (tmp_path / "x.xml").exists()
    for argv, words in (
        (["bundle", "last"], "last.crunchbed.tar.gz: is there already"),
        (["bundle", "nowhere"], "nowhere: expected a run directory"),
        (["bundle", "kept/logs"], "scenario.json: cannot be read"),
        (["judge", "nowhere"], "nowhere: cannot be read: No such file"),
        (["judge", "x.xml"], "x.xml: expected a whole bundle"),
        (["judge", "last.crunchbed.tar.gz", "--out", "kept"], "expected a new or empty directory"),
    ):
        assert app.main(argv) == 2
        err = capsys.readouterr().err
        assert words in err
        assert len(err.splitlines()) == 1


def test_a_bundle_cut_anywhere_is_refused(bundle: Path, tmp_path: Path) -> None:
    content = bundle.read_bytes()
    cut = tmp_path / "cut.gz"
    for length in [0, 1, 10, 100, *range(200, len(content), len(content) // 25), len(content) - 9]:
        cut.write_bytes(content[:length])
        with pytest.raises(BadInput) as caught:
            unpack(cut, tmp_path / f"out-{length}")
        assert "\n" not in str(caught.value)


def test_a_flipped_bit_anywhere_is_refused_or_harmless(bundle: Path, tmp_path: Path) -> None:
    """Harmless are those that no content depends on, such as the archive's own times."""
    content = bundle.read_bytes()
    whole = members(bundle)
    flipped = tmp_path / "flipped.gz"
    refused = 0
    for place in range(0, len(content), max(1, len(content) // 150)):
        flipped.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        out = tmp_path / f"flip-{place}"
        try:
            unpack(flipped, out)
        except BadInput:
            refused += 1
            continue
        for name, data in whole.items():
            if name != "manifest.json":
                assert (out / name).read_bytes() == data
    assert refused > 130


Harm = Callable[[Members], str | None]


def _without(name: str) -> Harm:
    return lambda content: content.pop(name).decode() and None


def _set(name: str, data: bytes) -> Harm:
    return lambda content: content.__setitem__(name, data)


def _manifest(old: bytes, new: bytes) -> Harm:
    def change(content: Members) -> None:
        assert old in content["manifest.json"]
        content["manifest.json"] = content["manifest.json"].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_without("manifest.json"), "the first member is not manifest.json"),
        (_without("history.jsonl"), "history.jsonl is missing"),
        (_set("manifest.json", b"{}"), "manifest.json: made_by: Field required"),
        (_set("manifest.json", b"{"), "expected a whole bundle"),
        (_set("extra.txt", b"x"), "'extra.txt' is not in its manifest"),
        (_set("../escaped", b"x"), "'../escaped' is not in its manifest"),
        (_set("scenario.json", b"{}"), "scenario.json has 2 bytes, not"),
        (_manifest(b'"format": 1', b'"format": 2'), "manifest.json: format"),
        (_manifest(b'"logs/n1-agent.log"', b'"../../n1-agent.log"'), "is no name of a member"),
        (_manifest(b'"logs/n1-agent.log"', b'"/n1-agent.log"'), "is no name of a member"),
        (_manifest(b'"size": 7,', b'"size": 99999999999,'), "it would unpack to more than"),
        (_manifest(b'"sha256": "', b'"sha256": "0'), "is damaged: its SHA-256 is another"),
        (lambda _: "logs/link", "'logs/link' is not in its manifest"),
    ],
)
def test_a_bundle_that_lies_is_refused(
    harm: Harm, words: str, bundle: Path, tmp_path: Path, capsys: Captured
) -> None:
    content = members(bundle)
    rewrite(bundle, content, harm(content))
    assert app.main(["judge", str(bundle), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "out" / "logs" / "link").exists()


@pytest.mark.parametrize("where", ["first header", "last header", "end"])
def test_a_bundle_that_unpacks_to_more_than_it_says_is_refused(
    where: str, bundle: Path, tmp_path: Path
) -> None:
    much = 32 << 20
    content = members(bundle)
    last = list(content)[-1]
    with gzip.open(bundle, "wb") as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, data in content.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                if (where, name) in (("first header", "manifest.json"), ("last header", last)):
                    entry.pax_headers = {"comment": "0" * much}
                archive.addfile(entry, io.BytesIO(data))
        if where == "end":
            packed.write(bytes(much))
    with pytest.raises(BadInput, match=r"more is in it than its manifest\.json says"):
        unpack(bundle, tmp_path / "out")


def test_a_place_that_cannot_be_written_is_not_the_bundles_fault(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CrunchbedError, match="cannot be written: Not a directory"):
        unpack(bundle, tmp_path / "file" / "out")


def test_a_whole_archive_of_something_else_is_refused(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"no tar at all" * 100))
    assert app.main(["judge", str(tmp_path / "x.gz")]) == 2
    assert "expected a whole bundle" in capsys.readouterr().err


def test_judging_needs_no_system_package_and_no_library_of_the_system(bundle: Path) -> None:
    code = """
import sys
blocked = ("mininet", "nbd", "topologies.topo", "topologies.parts", "os_ken")
blocked += ("crunchbed.run.engine", "pyroute2")
def hook(event, arguments):
    if event == "import" and str(arguments[0]).startswith(blocked):
        raise ImportError(arguments[0])
    if event == "ctypes.dlopen" and str(arguments[0] or "").startswith("lib"):
        raise OSError(arguments[0])
    if event in ("subprocess.Popen", "socket.connect"):
        raise PermissionError(event)
sys.addaudithook(hook)
from crunchbed.cli import app
sys.exit(app.main(["judge", sys.argv[1]]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert "verdict then: fail" in ended.stdout
