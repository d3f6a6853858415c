"""docs/scenario-format.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crunchbed.checks.figures import NAMES, PHASE_NAMES
from crunchbed.faults.kinds import MODELS as FAULTS
from crunchbed.scenario.cluster import BACKENDS
from crunchbed.scenario.crunch import TimedCrunch, WritebackCrunch
from crunchbed.scenario.detector import MODELS as DETECTORS
from crunchbed.scenario.loader import load, load_file
from crunchbed.scenario.section import CARDS, KERNELS

MINIMAL = "name: x\nclaim: it holds\n"

DOCS = Path(__file__).parents[2] / "docs" / "scenario-format.md"


def documented(heading: str) -> dict[str, str]:
    """Return the default of every key in the tables under headings that mention ``heading``."""
    sections = DOCS.read_text().split("\n### ")
    rows = [row for text in sections if heading in text.split("\n")[0] for row in text.split("\n")]
    cells = [row.split("|") for row in rows if row.startswith("| `")]
    return {cell[1].strip(" `"): cell[2].strip(" `") for cell in cells}


UNWRITTEN = {
    "cluster": {"backend": BACKENDS[0]},
    "memory": {"nic": CARDS[0], "kernel": KERNELS[0]},
}
"""Defaults that are not written into a resolved scenario."""


@pytest.mark.parametrize(
    "section", ["cluster", "memory", "block_io", "traffic", "phases", "corosync", "shed"]
)
def test_every_key_is_documented_with_its_default(section: str) -> None:
    resolved = load("control").resolved()[section]
    expected = {
        key: "" if value is None else str(value)
        for key, value in resolved.items()
        if not isinstance(value, dict)
    }
    expected |= UNWRITTEN.get(section, {})
    assert documented(f"`{section}`") == expected


def test_the_transports_keys_are_documented_with_their_defaults() -> None:
    block_io = load("control").resolved()["block_io"]
    assert documented("`block_io.iscsi`") == {
        f"{part}.{key}": "none" if value is None else value
        for part in ("iscsi", "nbd")
        for key, value in block_io[part].items()
    }


def test_the_other_keys_are_documented_with_their_defaults() -> None:
    resolved = load("control").resolved()
    table = documented("`heartbeat`")
    for section in ("heartbeat", "fencing"):
        for key, value in resolved[section].items():
            assert table.pop(f"{section}.{key}") == str(value)
    assert table.pop("fencing.delay") == "0s", "is not written where it is the default"
    assert table.pop("fencing.no_quorum") == "", "likewise"
    assert table == {}
    top = documented("Top level")
    assert top["policy"] == resolved["policy"]
    assert top["memalloc"] == "[block-io, heartbeat]"
    assert top["membership"] == resolved["membership"]
    sections = {"cluster", "memory", "block_io", "heartbeat", "fencing", "traffic", "phases"}
    sections |= {"detector", "crunch", "faults", "steady", "expect", "corosync", "shed", "softnet"}
    assert top.pop("events") == "none", "is not written where it is the default"
    assert set(top) | sections == set(resolved)
    crunches = documented("`crunch`")
    for model in (WritebackCrunch, TimedCrunch):
        for key in model.model_fields.keys() - {"kind"}:
            assert key in crunches


def test_every_kind_of_fault_is_documented_with_its_keys() -> None:
    text = DOCS.read_text().split("### `faults`")[1].split("### ")[0]
    every_kind = {"target", "after", "for", "jitter", "every", "count"}
    common = set(documented("`faults`")) & every_kind
    assert common == every_kind
    for kind, model in FAULTS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind}`"))
        for name, field in model.model_fields.items():
            key = field.alias or name
            assert key in common | {"kind"} or f"`{key}" in row, (kind, key)


def test_every_detector_and_its_parameters_are_documented() -> None:
    assert documented("`detector`") == load("control").resolved()["detector"]
    listed = dict(
        line[3:].split("`: ", 1)
        for line in DOCS.read_text().split("### `detector`")[1].replace("\n  ", " ").split("\n")
        if line.startswith("- `")
    )
    page = DOCS.with_name("detectors.md").read_text()
    for kind, model in DETECTORS.items():
        keys = model.model_fields.keys() - {"kind"}
        assert set(re.findall(r"`(\w+)`", listed.pop(kind))) == keys
        section = page.split(f"### `{kind}`")[1].split("\n#")[0]
        assert {row.split("`")[1] for row in section.split("\n") if row.startswith("| `")} == keys
    assert listed == {}


def test_the_documented_example_and_figures_are_real(tmp_path: Path) -> None:
    text = DOCS.read_text()
    (tmp_path / "mine.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    assert load_file(tmp_path / "mine.yaml").name == "mine"
    (tmp_path / "x.yaml").write_text(MINIMAL + text.split("```yaml\n")[3].split("```")[0])
    assert len(load_file(tmp_path / "x.yaml").expect) == 4
    figures = text.split("The figures, each")[1].split("## Verdicts")[0]
    for name in NAMES:
        assert f"`{name}`" in figures
    phase = text.split("A phase has these figures")[1].split("### `steady`")[0]
    for name in PHASE_NAMES:
        assert f"`{name}`" in phase
