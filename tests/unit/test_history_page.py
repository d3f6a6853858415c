"""docs/history.md and the docstrings that it is made of have every kind of event and its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest

from crunchbed.history import page as module
from crunchbed.history.page import described_fields, page
from reserve_agent.contract.events.base import COMMON, Event, key_of
from reserve_agent.contract.events.kinds import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text()


def own_fields(cls: type[Event]) -> list[str]:
    return [field.name for field in fields(cls) if field.name not in COMMON]


def section_of(kind: str) -> str:
    return PAGE.split(f"\n### `{kind}`\n")[1].split("\n#")[0]


def test_the_page_is_what_the_code_says() -> None:
    assert page() == PAGE, "python -m crunchbed.history.page > docs/history.md"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_and_each_of_its_fields_is_described(kind: str) -> None:
    cls = KINDS[kind]
    assert list(described_fields(cls)) == own_fields(cls)
    section = section_of(kind)
    for name, text in described_fields(cls).items():
        assert text.endswith("."), name
        assert f"| `{key_of(name)}` |" in section


class Probed(Event, kind="probe.new"):
    """Something new.

    Attributes:
        seen: Number of things,
            in two lines.
    """

    seen: int
    names_: Sequence[str] = ()


def test_a_new_kind_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KINDS", {**KINDS, Probed.kind: Probed})
    assert "### `probe.new`\n\nSomething new. (`Probed`)" in page()
    assert "| `seen` | integer |  | Number of things, in two lines. |" in page()
    assert "| `names` | list of strings | `[]` |  |" in page()


def test_a_field_without_a_description_is_found() -> None:
    assert list(described_fields(Probed)) == ["seen"] != own_fields(Probed)
