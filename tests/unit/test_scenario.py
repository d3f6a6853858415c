"""Scenarios: what is accepted, and the one line for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunchbed.scenario import units, yaml
from crunchbed.scenario.crunch import TimedCrunch, WritebackCrunch
from crunchbed.scenario.loader import load, load_file, shipped
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

MINIMAL = "name: x\nclaim: it holds\n"


def error_of(tmp_path: Path, text: str | bytes, name: str = "x.yaml") -> str:
    """Return the message for a file of this text, without its directory."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadInput) as caught:
        load_file(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{tmp_path}/", "")


# --- units


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("50us", 50_000),
        ("200ms", 200_000_000),
        ("3s", 3_000_000_000),
        ("2min", 120_000_000_000),
        ("0.5s", 500_000_000),
        ("1.000000001s", 1_000_000_001),
        ("7 ms", 7_000_000),
        ("0s", 0),
    ],
)
def test_a_duration_is_whole_nanoseconds(text: str, nanoseconds: int) -> None:
    assert units.duration_ns(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "5", "5 parsecs", "-5s", "0.5ns", "1e3s", "s", "5S", "\u0661s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        units.duration_ns(text)


def test_sizes_are_binary_and_rates_decimal() -> None:
    assert units.size_bytes("16KiB") == 16384
    assert units.rate_bits("200Mbit") == 200_000_000
    with pytest.raises(ValueError, match="a size such as"):
        units.size_bytes("16KB")


@given(st.integers(0, 10**16))
def test_formatted_quantities_read_back(number: int) -> None:
    assert units.duration_ns(units.format_duration(number)) == number
    assert units.size_bytes(units.format_size(number)) == number
    assert units.rate_bits(units.format_rate(number)) == number


# --- shipped scenarios


def test_the_shipped_scenarios_load_and_state_a_claim() -> None:
    assert {"writeback-crunch", "micro-crunch", "long-crunch", "control"} <= set(shipped())
    for name in shipped():
        scenario = load(name)
        assert scenario.name == name
        assert scenario.claim
        assert scenario.expect


def test_the_shipped_crunches_are_what_their_names_say() -> None:
    writeback, micro, long = (load(f"{n}-crunch").crunch for n in ("writeback", "micro", "long"))
    assert isinstance(writeback, WritebackCrunch)
    assert isinstance(micro, TimedCrunch)
    assert micro.count >= 100
    assert micro.length == 50_000
    assert isinstance(long, TimedCrunch)
    assert long.length > load("long-crunch").deadline_ns
    assert load("control").crunch is None


@pytest.mark.parametrize("name", ["writeback-crunch", "micro-crunch", "long-crunch", "control"])
def test_a_resolved_scenario_reads_back_equal(name: str, tmp_path: Path) -> None:
    scenario = load(name)
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.text_of(scenario.resolved()))
    assert load_file(path) == scenario
    assert Scenario.model_validate(scenario.resolved()) == scenario


def test_values_are_in_base_units() -> None:
    scenario = load("control")
    assert scenario.cluster.port_rate == 200_000_000
    assert scenario.memory.service_time == 200_000
    assert scenario.block_io.request == 16384
    assert scenario.deadline_ns == 500_000_000
    assert scenario.node_names == ("n1", "n2", "n3")
    assert scenario.memalloc == ("block-io", "heartbeat")


# --- one line for each mistake


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "crunch:\n  kind: writeback\n  # a comment\n  pages: -5\n",
            "x.yaml:6: crunch.pages: expected a whole number of pages >= 1, got -5",
        ),
        (
            "memory:\n  pagez: 5\n",
            "x.yaml:4: memory.pagez: expected one of the keys pages, clean, reserve, service_time, "
            "on_exhaustion, nic, kernel, got an unknown key (did you mean pages?)",
        ),
        ("memry: {}\n", "x.yaml:3: memry: expected one of the keys name, claim, source, cluster, "),
        (
            "policy: xyz\n",
            "x.yaml:3: policy: expected one of none, softnet, memalloc, mempool, critical, got",
        ),
        ("memory: 5\n", "x.yaml:3: memory: expected a mapping of pages, clean, reserve, serv"),
        ("memory:\n", "x.yaml:3: memory: expected a mapping of pages, clean, reserve, serv"),
        (
            "heartbeat:\n  interval: 100\n",
            "x.yaml:4: heartbeat.interval: expected a duration such as 50us, 200ms, 3s or 2min, "
            "from 5ms to 60s, got 100",
        ),
        ("cluster: {nodes: 33}\n", "x.yaml:3: cluster.nodes: expected at most 32 with backend na"),
        ("cluster: {nodes: 10001}\n", "x.yaml:3: cluster.nodes: expected a whole number of nodes"),
        ("cluster: {nodes: true}\n", "x.yaml:3: cluster.nodes: expected a whole number of nodes f"),
        ("cluster: {nodes: 3.0}\n", "x.yaml:3: cluster.nodes: expected a whole number of nodes fr"),
        ("memory: {pages: 9999999999}\n", "x.yaml:3: memory.pages: expected a whole number of p"),
        ("cluster: {port_rate: 200}\n", "x.yaml:3: cluster.port_rate: expected a rate such as 20"),
        ("block_io: {request: 10KB}\n", "x.yaml:3: block_io.request: expected a size such as 512B"),
        ("memalloc: [disk]\n", "x.yaml:3: memalloc: expected a list of distinct names out of blo"),
        ("memalloc: [heartbeat, heartbeat]\n", "x.yaml:3: memalloc: expected a list of distinct "),
        (
            "crunch: {kind: drought}\n",
            "x.yaml:3: crunch.kind: expected one of writeback, timed, flood, go",
        ),
        ("crunch: {pages: 5}\n", "x.yaml:3: crunch: expected a mapping with kind: writeback or t"),
        (
            "crunch: 5\n",
            "x.yaml:3: crunch: expected a mapping with kind: writeback or timed or flood, got",
        ),
        ("crunch: {kind: timed, pages: 5}\n", "x.yaml:3: crunch.pages: expected one of the keys"),
        ("crunch: {kind: timed, depth: 1.5}\n", "x.yaml:3: crunch.depth: expected a number from"),
        ("crunch: {kind: timed, depth: .nan}\n", "x.yaml:3: crunch.depth: expected a number fro"),
        ("expect: writes_lost == 0\n", "x.yaml:3: expect: expected a list of comparisons such as"),
        (
            "expect:\n  - writes_lost == 0\n  - writes_losst == 0\n",
            "x.yaml:5: expect[1]: expected a comparison such as memalloc.nodes_ejected == 0, got "
            "'writes_losst == 0', where writes_losst is no figure (did you mean writes_lost?)",
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    assert error_of(tmp_path, MINIMAL + text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block_io: {queue_depth: 0}", "block_io.queue_depth: expected a whole number of requests"),
        ("memory: {pages: 100, clean: 90, reserve: 10}", "memory.clean: expected at most 89"),
        ("memory: {pages: 100, clean: 0, reserve: 100}", "memory.reserve: expected fewer pages"),
        ("block_io: {request: 6KiB}", "block_io.request: expected a multiple of 4KiB, got 6KiB"),
        ("block_io: {request: 8KiB, export: 4KiB}", "block_io.request: expected at most block_io."),
        ("heartbeat: {interval: 1s, misses: 5}", "heartbeat.misses: expected a deadline (interval"),
        ("traffic: {port: 7405}", "traffic.port: expected another port than heartbeat.port, got "),
        ("crunch: {kind: writeback, target: n4}", "crunch.target: expected n1 to n3, or random, "),
        (
            "crunch: {kind: writeback, jitter: 6s}",
            "crunch.jitter: expected less than phases.inject",
        ),
        ("crunch: {kind: timed, length: 11ms}", "crunch.length: expected at most crunch.every (10"),
        (
            "crunch: {kind: timed, count: 600, jitter: 1ms}",
            "crunch.count: expected jitter + count x every within phases.inject (6s), got 600 "
            "windows that need 6001ms",
        ),
    ],
)
def test_contradictions_between_keys_are_found(text: str, message: str, tmp_path: Path) -> None:
    assert error_of(tmp_path, f"{MINIMAL}{text}\n").startswith(f"x.yaml:3: {message}")


def test_a_contradiction_through_a_default_names_the_section(tmp_path: Path) -> None:
    # memory.clean is not in the file; the nearest line is that of its section.
    message = error_of(tmp_path, f"{MINIMAL}memory:\n  reserve: 500\n  pages: 8000\n")
    assert message.startswith("x.yaml:3: memory.clean: expected at most 7499")


def test_windows_that_just_fit_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"{MINIMAL}crunch: {{kind: timed, count: 600, jitter: 0}}\n")
    assert load_file(path).crunch is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{MINIMAL}name: x\n", 'x.yaml:3: not valid YAML: found duplicate key "name"'),
        (f"{MINIMAL}memory: {{pages: [1\n", "x.yaml:4: not valid YAML: expected ',' or ']'"),
        (f"{MINIMAL}\tmemory: 1\n", "x.yaml:3: not valid YAML: "),
        ("- name\n- claim\n", "x.yaml:1: expected a mapping of keys"),
        ("", "x.yaml:1: expected a mapping of keys"),
        ("name: x\n", "x.yaml:1: claim: expected a value for this key, got none"),
        ("name: y\nclaim: c\n", "x.yaml:1: name: expected 'x' like the file, got 'y'"),
        ("name: X Y\nclaim: c\n", "x.yaml:1: name: expected lower-case words joined by -, got"),
        (f"{MINIMAL}1: 2\n", "x.yaml:3: expected a key that is text, got 1"),
        (f"{MINIMAL}---\nname: y\n", "x.yaml:3: not valid YAML: but found another document"),
        (b"name: \xff\n", "x.yaml:1: expected UTF-8 text"),
        ("name: \x01\n", "x.yaml:1: not valid YAML: "),
        ("a: &a [*a]\n", "x.yaml:1: "),
        (f"{MINIMAL}claim: !!python/object:os.system x\n", "x.yaml:3: not valid YAML: found dup"),
    ],
)
def test_a_file_that_is_no_scenario_is_one_line(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    assert error_of(tmp_path, text).startswith(message)


def test_exploding_aliases_are_refused(tmp_path: Path) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "aliases without end" in error_of(tmp_path, f"a0: &a0 [1]\n{levels}")


def test_of_several_mistakes_the_first_is_told(tmp_path: Path) -> None:
    message = error_of(tmp_path, f"{MINIMAL}policy: x\nmemory:\n  pages: 0\nfoo: 1\n")
    assert (
        message == "x.yaml:3: policy: expected one of none, softnet, memalloc, mempool, critical, "
        "got 'x' (and 2 more)"
    )


def test_a_name_that_is_not_shipped_lists_those_that_are() -> None:
    with pytest.raises(BadInput) as caught:
        load("writeback-crnch")
    message = str(caught.value)
    assert message.startswith("no scenario 'writeback-crnch' (did you mean writeback-crunch?); ")
    assert f"known: {', '.join(shipped())}; " in message
    assert "crunchbed list" in message


def test_a_path_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no scenario file .*nowhere\.yaml"):
        load(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        load(f"{tmp_path}/")


# --- overrides


def test_overrides_are_read_as_yaml_and_checked() -> None:
    scenario = load("writeback-crunch").with_overrides(
        {"policy": "none", "crunch.pages": "500", "memalloc": ["heartbeat"], "phases.inject": "7s"}
    )
    assert isinstance(scenario.crunch, WritebackCrunch)
    assert (scenario.policy, scenario.crunch.pages) == ("none", 500)
    assert scenario.memalloc == ("heartbeat",)
    assert scenario.phases.inject == 7_000_000_000
    assert load("writeback-crunch").with_overrides({"crunch": "null"}).crunch is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "crunch.pages",
            "-1",
            "override crunch.pages: expected a whole number of pages >= 1, got ",
        ),
        (
            "crunch.pagez",
            "1",
            "override crunch.pagez: expected one of the keys kind, target, pages",
        ),
        ("a.b", "1", "override a.b: expected a key of the scenario, got an unknown one"),
        ("memory.clean", "16383", "override memory.clean: expected at most 1"),
        ("crunch.pages", "[1", "override crunch.pages:1: not valid YAML"),
    ],
)
def test_a_wrong_override_is_one_line(key: str, value: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        load("writeback-crunch").with_overrides({key: value})
    assert str(caught.value).startswith(message)


def test_a_key_of_an_item_of_a_list_can_be_set() -> None:
    faults = [{"kind": "stall", "target": "n1"}, {"kind": "link-down", "target": "n2"}]
    scenario = load("control").with_overrides({"faults": faults})
    changed = scenario.with_overrides({"faults[0].for": "1s", "faults[1].target": "n3"})
    assert [fault.lasts_ns for fault in changed.faults] == [1_000_000_000, 2_000_000_000]
    assert changed.faults[1].targets == ("n3",)
    replaced = scenario.with_overrides({"faults[1]": "{kind: node-crash, target: n2}"})
    assert [fault.kind for fault in replaced.faults] == ["stall", "node-crash"]
    expect = load("writeback-crunch").with_overrides({"expect[0]": "n1.flaps == 0 or flaps == 1"})
    assert expect.expect[0] == "n1.flaps == 0 or flaps == 1"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("faults[2].for", "expected an item from [0] to [1], got [2]"),
        ("faults[2]", "expected an item from [0] to [1], got [2]"),
        ("expect[0]", "expected no item of an empty list, got [0]"),
        ("faults.for", "expected a key of the scenario, got one in faults, which this scenario "),
        ("memory[0]", "expected a key of the scenario, got one in memory, which this scenario "),
        ("memory.pages[0]", "expected a key of the scenario, got one in pages, which this scen"),
        (
            "faults[0].forr",
            "expected one of the keys kind, after, jitter, count, every, for, target, daemons",
        ),
        ("[0]", "expected a key of the scenario, got an unknown one"),
        (".", "expected one of the keys name, claim"),
    ],
)
def test_an_item_that_is_not_there_is_one_line(key: str, message: str) -> None:
    faults = [{"kind": "stall", "target": "n1"}, {"kind": "link-down", "target": "n2"}]
    scenario = load("control").with_overrides({"faults": faults, "expect": []})
    with pytest.raises(BadInput) as caught:
        scenario.with_overrides({key: "1s"})
    assert str(caught.value).startswith(f"override {key}: {message}")


def test_a_key_of_a_crunch_that_is_not_there_cannot_be_set() -> None:
    with pytest.raises(BadInput, match="got one in crunch, which this scenario sets to nothing"):
        load("control").with_overrides({"crunch.pages": "5"})


def test_a_scenario_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(load("control"), "policy", "none")  # noqa: B010 - mypy knows it is frozen
