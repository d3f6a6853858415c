"""Profile files: what calibrate writes is read again, and a wrong file is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crunchbed.calibrate.profile import profile_record
from reserve_agent.errors import BadInput
from reserve_agent.model.profiles import CARDS, KERNELS
from reserve_agent.model.profiles.record import Profile, constants
from reserve_agent.profile_files import load_profile
from tests.unit.calibrations import SHIPPED, measured

KERNEL = {"name": "6.1", "release": "6.1.0-56-amd64", "version": "6.1.0-56-amd64 #1 6.1.192-2"}
WHERE = "measured on 6.1.0-56-amd64 e1000, 2026-11-29"


def record(**changes: Any) -> dict[str, Any]:
    """The content of a file, with values of constants changed by ``part__key``."""
    made = profile_record(measured(), SHIPPED, KERNEL, WHERE)
    return json.loads(json.dumps(made | changes))  # type: ignore[no-any-return]


def saved(folder: Path, content: object) -> Path:
    path = folder / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_was_measured_is_read_again(tmp_path: Path) -> None:
    profile = load_profile(saved(tmp_path, record()))
    assert constants(profile) == constants(SHIPPED)
    assert (profile.kernel.name, profile.card.name) == ("6.1", "e1000")
    assert profile.kernel.version == KERNEL["version"]


def test_a_file_says_of_each_constant_where_it_is_from() -> None:
    made = record()
    assert made["kernel"]["constants"]["floors.atomic"] == {
        "value": "3/8",
        "source": f"{WHERE}: a probe of the allocator",
        "repeats": 2,
        "spread": [0.3773, 0.3773],
    }
    assert made["card"]["constants"]["asks"]["seen"] == ["never", "never"]
    assert made["kernel"]["constants"]["buffers.heads_at_hand"] == {
        "value": 64,
        "source": "shipped",
    }
    assert made["also_measured"]["late_drops"]["value"] == 0


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_shipped_profile_can_be_a_file(kernel: str, card: str, tmp_path: Path) -> None:
    base = Profile(KERNELS[kernel], CARDS[card])
    path = saved(tmp_path, profile_record([], base, KERNEL, WHERE))
    assert constants(load_profile(path)) == constants(base)


def changed(part: str, key: str, value: object) -> dict[str, Any]:
    made = record()
    made[part]["constants"][key]["value"] = value
    return made


def without(part: str, key: str) -> dict[str, Any]:
    made = record()
    del made[part]["constants"][key]
    return made


def with_more() -> dict[str, Any]:
    made = record()
    made["card"]["constants"]["rings"] = {"value": 1}
    return made


WRONG = {
    "{": "line 1: expected JSON: ",
    "[1]": "expected an object, got [1]",
    '{"format": 2}': "format: expected 1, got 2",
    json.dumps(record(card=3)): "card: expected an object, got 3",
    json.dumps(record(kernel={})): "kernel.name: expected a text, got None",
    json.dumps(changed("kernel", "floors.atomic", "3:8")): (
        'kernel.constants.floors.atomic.value: expected a share of at most 1, such as "3/8", got'
        " '3:8'"
    ),
    json.dumps(changed("kernel", "floors.atomic", "9/8")): "floors.atomic.value: expected a share",
    json.dumps(changed("kernel", "floors.atomic", "1/0")): "floors.atomic.value: expected a share",
    json.dumps(changed("card", "asks", "sometimes")): (
        "card.constants.asks.value: expected one of flagged, always, never, got 'sometimes'"
    ),
    json.dumps(changed("card", "ring", 2.5)): (
        "card.constants.ring.value: expected a whole number, 0 or more, got 2.5"
    ),
    json.dumps(changed("card", "ring", True)): "card.constants.ring.value: expected a whole number",
    json.dumps(changed("card", "ring", 0)): "card.constants.ring.value: expected 1 to 65536, got 0",
    json.dumps(changed("card", "buffer_bytes", 9000)): "buffer_bytes.value: expected 1 to 4096",
    json.dumps(changed("card", "fragments", 1)): "fragments.value: expected true or false, got 1",
    json.dumps(changed("kernel", "ethertypes", "all")): "expected a list of whole numbers or null",
    json.dumps(without("card", "ring")): "card.constants.ring: expected a constant, found none",
    json.dumps(without("kernel", "buffers.small_bytes")): (
        "kernel.constants.buffers.small_bytes: expected a constant, found none"
    ),
    json.dumps(with_more()): "card.constants.rings: no such constant of a card",
}


@pytest.mark.parametrize("content", WRONG, ids=[text[:50] for text in WRONG.values()])
def test_a_wrong_file_is_one_line_with_file_key_and_what_was_expected(
    content: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(BadInput) as raised:
        load_profile(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert WRONG[content] in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.json: No such file"):
        load_profile(tmp_path / "nowhere.json")
    (tmp_path / "latin").write_bytes(b"\xff{}")
    with pytest.raises(BadInput, match="latin: expected JSON in UTF-8"):
        load_profile(tmp_path / "latin")
