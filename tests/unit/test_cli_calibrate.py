"""``crunchbed calibrate`` around the guest: what it refuses, prints and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crunchbed.backends.machines import images
from crunchbed.backends.machines.calibration import Calibration, version_of
from crunchbed.cli import app
from nodes.guest import layout
from reserve_agent.errors import MissingRequirement
from reserve_agent.profile_files import load_profile
from tests.unit.calibrations import measured

Captured = pytest.CaptureFixture[str]
RELEASE = "6.1.0-99-amd64"
VERSION = f"{RELEASE} (builder) #1 SMP Debian 6.1.192-2"


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel of no code, and a guest of it that is as 6.1.192 is with e1000."""
    built = tmp_path / "machines" / RELEASE
    built.mkdir(parents=True)
    image = bytearray(4096)
    image[526:528] = (0x400).to_bytes(2, "little")
    text = f"{VERSION}\0".encode()
    image[0x600 : 0x600 + len(text)] = text
    (built / "vmlinuz").write_bytes(image)
    (built / "initramfs").touch()
    (built / "cards").write_text("e1000\n")
    (built / "shared").write_text(f"{layout.VERSION}\n")
    (tmp_path / "machines" / "6.1").symlink_to(RELEASE)
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path / "machines"))
    monkeypatch.setattr("crunchbed.cli.calibrate.require", lambda _needed: None)

    def measure(*arguments: Any) -> Calibration:
        assert arguments[1] == "e1000"
        arguments[-1]("boots")
        return Calibration(RELEASE, tuple(measured()))

    monkeypatch.setattr("crunchbed.cli.calibrate.measure", measure)
    return tmp_path


def test_the_exact_version_is_in_the_image(guest: Path) -> None:
    assert version_of(guest / "machines" / RELEASE / "vmlinuz") == VERSION


def test_a_profile_file_is_written_and_can_be_held_against(guest: Path, capsys: Captured) -> None:
    out = guest / "mine.json"
    assert app.main(["calibrate", "--out", str(out), "--check"]) == 0
    printed = capsys.readouterr()
    assert VERSION in printed.out
    assert "contradicts" not in printed.out
    assert printed.err == "calibrate 6.1 e1000: boots\n"
    assert load_profile(out).card.ring == 256
    assert app.main(["calibrate", "-q", "--against", str(out), "--check"]) == 0
    assert "contradicts" not in capsys.readouterr().out


def test_a_file_with_one_wrong_constant_is_told(guest: Path, capsys: Captured) -> None:
    out = guest / "mine.json"
    assert app.main(["calibrate", "-q", "--out", str(out)]) == 0
    content = json.loads(out.read_text())
    content["kernel"]["constants"]["floors.atomic"]["value"] = "1/2"
    out.write_text(json.dumps(content))
    capsys.readouterr()
    told = "kernel.floors.atomic: the profile has 1/2, measured 3/8 (0.377, 0.377)"
    assert app.main(["calibrate", "-q", "--against", str(out)]) == 0
    assert f"contradicts 6.1, e1000: {told}\n" in capsys.readouterr().out
    assert app.main(["calibrate", "-q", "--against", str(out), "--check", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["contradictions"] == [told]
    wrong = [one["constant"] for one in record["constants"] if one["contradicts"]]
    assert wrong == ["kernel.floors.atomic"]
    assert record["kernel"]["release"] == RELEASE


def test_a_file_is_replaced_only_when_asked(guest: Path, capsys: Captured) -> None:
    out = guest / "mine.json"
    out.touch()
    assert app.main(["calibrate", "--out", str(out)]) == 2
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert out.stat().st_size == 0
    assert app.main(["calibrate", "--out", str(out), "--force"]) == 0
    assert load_profile(out)


def test_what_cannot_be_measured_is_refused_in_one_line(guest: Path, capsys: Captured) -> None:
    (guest / "text.json").write_text("text")
    out = guest / "mine.json"
    app.main(["calibrate", "-q", "--out", str(out)])
    capsys.readouterr()
    for arguments, words in (
        (["--nic", "ne2k"], "ne2k"),
        (["--against", str(guest / "text.json")], "text.json: line 1: expected JSON"),
        (["--nic", "vmxnet3", "--against", str(out)], "expected a profile of vmxnet3, got e1000's"),
        (["--kernel", str(out)], "--kernel: expected its --modules"),
        (["--repeats", "0"], "--repeats"),
    ):
        assert app.main(["calibrate", *arguments]) == 2, arguments
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1


def test_a_kernel_that_is_not_built_is_a_missing_requirement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv(images.DIRECTORY_VARIABLE, str(tmp_path))
    assert app.main(["calibrate", "6.12"]) == MissingRequirement.exit_code
    said = capsys.readouterr().err
    assert "kernel 6.12" in said
    assert images.MAKE in said
