"""A scenario of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.cli import app
from crunchbed.scenario.loader import load, load_file, shipped


def test_the_template_is_a_scenario_that_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["new", "backup-night", "--dir", str(tmp_path)]) == 0
    path = tmp_path / "backup-night.yaml"
    assert load_file(path).name == "backup-night"
    assert f"crunchbed compare {path}" in capsys.readouterr().out
    assert f"crunchbed compare {path}" in path.read_text()


@pytest.mark.parametrize("origin", shipped())
def test_a_copy_differs_in_nothing_but_its_name(origin: str, tmp_path: Path) -> None:
    assert app.main(["new", "mine", "--from", origin, "--dir", str(tmp_path)]) == 0
    copy = load_file(tmp_path / "mine.yaml")
    assert copy.model_copy(update={"name": origin}) == load(origin)


def test_a_byte_order_mark_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_bytes("\ufeffname: theirs\nclaim: c\n".encode())
    origin = str(tmp_path / "theirs.yaml")
    assert app.main(["new", "mine", "--from", origin, "--dir", str(tmp_path)]) == 0
    assert (tmp_path / "mine.yaml").read_bytes() == b"name: mine\nclaim: c\n"


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("precious")
    assert app.main(["new", "mine", "--dir", str(tmp_path)]) == 2
    assert (tmp_path / "mine.yaml").read_text() == "precious"
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Mine",), "expected lower-case words joined by -"),
        (("../mine",), "expected lower-case words joined by -"),
        (("mine", "--from", "writeback-crnch"), "did you mean writeback-crunch?"),
        (("mine", "--from", "nothere.yaml"), "no scenario file nothere.yaml"),
        (("mine", "--dir", "/nonexistent"), "cannot be written: No such file"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main(["new", *arguments]) in (2, 3)
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
