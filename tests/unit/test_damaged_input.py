"""Damaged scenarios and histories: one line and exit code 2, whatever the damage is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from crunchbed.archive.rejudge import rejudge
from crunchbed.cli import app
from crunchbed.report.html import make
from crunchbed.scenario.loader import load, load_file, shipped
from crunchbed.scenario.yaml import load_text
from reserve_agent.errors import BadInput
from tests.unit import mutations
from tests.unit.judged_runs import scenario
from tests.unit.recorded_runs import ejecting, write_run

BEGIN = "name: x\nclaim: it holds\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("!!bool x", "3: expected a value of the type bool, got 'x'"),
        ('!!int ""', "3: expected a value of the type int, got ''"),
        ("!!float no", "3: expected a value of the type float, got 'no'"),
        ("9" * 5000, "3: expected a value of the type int, got '9999"),
        ("!!set {a}", "3: expected a plain value, got the tag tag:yaml.org,2002:set"),
        ("!!binary aGk=", "3: expected a plain value, got the tag tag:yaml.org,2002:binary"),
        ("!!timestamp 2020-01-01", "3: expected a plain value, got the tag tag:yaml.org,2002:time"),
        ("!!str [a]", "3: expected a plain value, got the tag tag:yaml.org,2002:str"),
        ("!!map [a]", "3: expected a plain value, got the tag tag:yaml.org,2002:map"),
        ("!ours x", "3: expected a plain value, got the tag !ours"),
        ("{<<: !!set {a}}", "3: expected a plain value, got the tag tag:yaml.org,2002:set"),
        ("{<<: 5}", "3: expected a mapping for the key <<"),
        ("{[a]: b}", "3: expected a key that is text, got a mapping or a list"),
        ("[&a x, &a y]", "3: expected each anchor once, got 'a' again"),
        ("*a", "3: expected an alias of an anchor above it, got an unknown anchor 'a'"),
        ("&a [*a]", "3: expected an alias of an anchor above it, got its own part 'a'"),
        ('"\\ud800"', "3: expected text, got half a surrogate pair"),
        ("[" * 3000, "3: nested too deep"),
        ("{a: " * 50, "3: nested too deep"),
        ("\n" + "".join(f"{' ' * n}- \n" for n in range(1, 40)), "24: nested too deep"),
        ("- " * 3000, "3: not valid YAML: sequence entries are not allowed here"),
    ],
)
def test_a_value_that_is_none_is_one_line_in_a_file_and_on_a_command_line(
    value: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "x.yaml").write_text(f"{BEGIN}source: {value}\n")
    with pytest.raises(BadInput) as caught:
        load_file(tmp_path / "x.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/x.yaml:{words}")
    assert len(str(caught.value)) < 250 + len(str(tmp_path))
    with pytest.raises(BadInput, match=r"^override source:\d+: \S.*") as caught:
        load("control").with_overrides({"source": value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%YAML 1.3\n---\nname: x\n", "1: not valid YAML: version minor part can only be 2 or 1"),
        ("%YAML 1.1\n---\nname: x\n", "2: expected YAML 1.2, got a directive for another version"),
        ("<<: !!set {a}\n", "1: expected a plain value, got the tag tag:yaml.org,2002:set"),
        ("!!set {a}\n", "1: expected a plain value, got the tag tag:yaml.org,2002:set"),
        (BEGIN + "# much\n" * 20_000, "1: expected at most 100000 characters, got 140024"),
        (BEGIN + "expect: [" + "a," * 30_000 + "]", "3: expected at most 10000 values"),
    ],
)
def test_a_whole_file_of_the_wrong_kind_is_one_line(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(BadInput) as caught:
        load_file(tmp_path / "x.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/x.yaml:{words}")


@pytest.mark.parametrize("text", ["[" * 3000, "[" * 3000 + "]" * 3000, "- " * 3000, "? " * 3000])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadInput, match="nested too deep"):
        load_text(text, "x")
    assert time.process_time() - began < 1.0


def test_plain_values_are_those_of_yaml_1_2() -> None:
    text = "[1, -1_0, 0x1f, 0o17, 012, 1.5, .5, 1e3, -.inf, true, FALSE, yes, on, ~, , 2020-01-01]"
    assert load_text(text.replace(", ,", ", null,"), "x") == [
        *(1, -10, 31, 15, 12, 1.5, 0.5, 1000.0, float("-inf"), True, False, "yes", "on"),
        *(None, None, "2020-01-01"),
    ]
    assert load_text("b: {<<: [{a: 1, c: 2}, {c: 3, d: 4}], a: 0}", "x") == {
        "b": {"a": 0, "c": 2, "d": 4}
    }
    assert load_text("- &a {x: !!str 5}\n- *a", "x") == [{"x": "5"}, {"x": "5"}]


def scenarios_are_one_line(count: int, seed: int, tmp_path: Path) -> int:
    """Load damaged scenarios; return how many were refused."""
    refused = 0
    originals = [path.read_text() for path in shipped().values()]
    short = [text for text in originals if len(text) < 1000] if count <= 1000 else originals
    for text in mutations.texts(short, count, seed):
        name = text.removeprefix("name: ").partition("\n")[0]
        path = tmp_path / f"{name if name in shipped() else 'x'}.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_file(path)
        except BadInput as error:
            refused += 1
            assert str(error).startswith(f"{path}:")
            assert "\n" not in str(error)
            assert "Input should" not in str(error), "pydantic's own words"
            assert len(str(error)) < 600 + len(str(path))
    return refused


def overrides_are_one_line(count: int, seed: int) -> None:
    control = load("control")
    texts = ["{nodes: 3, switch: auto}", "[block-io, heartbeat]", "16KiB", "'text'", "200ms"]
    keys = ("cluster", "memalloc", "block_io.request", "claim", "heartbeat.interval", "crunch")
    for number, text in enumerate(mutations.texts(texts, count, seed)):
        try:
            control.with_overrides({keys[number % len(keys)]: text})
        except BadInput as error:
            assert "\n" not in str(error)


def histories_are_one_line(count: int, seed: int, tmp_path: Path) -> int:
    """Judge damaged histories, and report some; return how many were refused."""
    run, refused = tmp_path / "run", 0
    write_run(run, ejecting(), scenario("none"))
    history = run / "history.jsonl"
    lines = history.read_bytes().splitlines()
    for number, damaged in enumerate(mutations.histories(lines, count, seed)):
        history.write_bytes(damaged)
        try:
            rejudge(run)
            if number % 20 == 0:
                make.write(run, tmp_path / "report.html")
        except BadInput as error:
            refused += 1
            assert str(error).startswith(str(run))
            assert "\n" not in str(error)
    return refused


def test_a_thousand_damaged_scenarios_are_one_line_each(tmp_path: Path) -> None:
    assert 500 < scenarios_are_one_line(1000, 1, tmp_path) < 1000


def test_a_thousand_damaged_overrides_are_one_line_each() -> None:
    overrides_are_one_line(1000, 1)


def test_a_thousand_damaged_histories_are_one_line_each(tmp_path: Path) -> None:
    assert 200 < histories_are_one_line(1000, 1, tmp_path) < 900


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_hundred_thousand_damaged_scenarios_and_histories(seed: int, tmp_path: Path) -> None:
    scenarios_are_one_line(9_000, seed, tmp_path)
    overrides_are_one_line(1_000, seed)
    histories_are_one_line(10_000, seed, tmp_path)


def test_values_that_make_no_sense_are_judged_unknown_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    write_run(run, ejecting(), scenario("none"))
    history = run / "history.jsonl"
    history.write_bytes(history.read_bytes().replace(b'"low_water":190', b'"low_water":[]', 1))
    assert app.main(["judge", str(run)]) == 3
    said = capsys.readouterr()
    assert "a check failed (low_water_pages" in said.out
    assert "Traceback" not in said.out + said.err
    assert app.main(["report", str(run)]) == 0
    assert "a check failed (low_water_pages" in (run / "report.html").read_text()
