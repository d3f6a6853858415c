"""``crunchbed validate``: every problem of every file, a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson
import pytest

from crunchbed.cli import app
from crunchbed.scenario.loader import shipped

B: Final = "name: NAME\nclaim: it holds\n"
BROKEN: Final = {
    "empty": ("", "1: expected a mapping of keys such as name and claim"),
    "list": ("- a\n", "1: expected a mapping of keys such as name and claim"),
    "bare": ("name: bare\n", "1: claim: expected a value for this key, got none"),
    "other": (
        "name: another\nclaim: c\n",
        "1: name: expected 'other' like the file, got 'another'",
    ),
    "bytes": (b"name: \xff\n", "1: expected UTF-8 text, got something else"),
    "unclosed": (f"{B}memory: {{pages: [1\n", "4: not valid YAML: expected ',' or ']', but got '<"),
    "twice": (f"{B}name: NAME\n", '3: not valid YAML: found duplicate key "name"'),
    "tab": (f"{B}\tmemory: 1\n", "3: not valid YAML: found character '\\t' that cannot start any"),
    "documents": (f"{B}---\na: b\n", "3: not valid YAML: but found another document"),
    "set": (f"{B}memalloc: !!set {{a}}\n", "3: expected a plain value, got the tag tag:yaml.org"),
    "bool": (f"{B}enforce: !!bool x\n", "3: expected a value of the type bool, got 'x'"),
    "int": (f'{B}memory:\n  pages: !!int ""\n', "4: expected a value of the type int, got ''"),
    "yaml": (f"%YAML 1.3\n---\n{B}", "1: not valid YAML: version minor part can only be 2 or 1"),
    "deep": (f"{B}expect: {'[' * 3000}\n", "3: nested too deep"),
    "number": (f"{B}1: 2\n", "3: expected a key that is text, got 1"),
    "alias": (f"{B}memory: *there\n", "3: expected an alias of an anchor above it, got an unknown"),
    "typo": (f"{B}memory:\n  pagez: 5\n", "4: memory.pagez: expected one of the keys pages, clean"),
    "section": (f"{B}memory: 5\n", "3: memory: expected a mapping of pages, clean, reserve, serv"),
    "unit": (
        f"{B}heartbeat:\n  interval: 100\n",
        "4: heartbeat.interval: expected a duration such as 50us, 200ms, 3s or 2min, from 5ms to "
        "60s, got 100",
    ),
    "range": (
        f"{B}cluster: {{nodes: 33}}\n",
        "3: cluster.nodes: expected at most 32 with backend namespaces ",
    ),
    "on": (f"{B}capture: on\n", "3: capture: expected true or false, got 'on'"),
    "memalloc": (
        f"{B}crunch:\n  kind: flood\n  memalloc: on\n",
        "5: crunch.memalloc: expected true or false, got 'on'",
    ),
    "kind": (
        f"{B}crunch: {{kind: drought}}\n",
        "3: crunch.kind: expected one of writeback, timed, flood, got 'drought'",
    ),
    "nan": (
        f"{B}crunch: {{kind: timed, depth: .nan}}\n",
        "3: crunch.depth: expected a number from",
    ),
    "figure": (f"{B}expect: [writes_losst == 0]\n", "3: expect[0]: expected a comparison such"),
    "zero": (
        f"{B}expect: [writes_lost / 0 == 0]\n",
        "3: expect[0]: expected a comparison such as ",
    ),
    "request": (
        f"{B}block_io:\n  request: 32MiB\n",
        "4: block_io.request: expected at most the 31MiB of a node that are neither clean nor "
        "reserve, else no write is ever full, got 32MiB",
    ),
    "flood": (
        f"{B}crunch:\n  kind: flood\n  port: 7405\n",
        "5: crunch.port: expected another port than heartbeat.port, got 7405",
    ),
    "target": (
        f"{B}faults:\n  - {{kind: link-down, target: n2}}\n  - {{kind: link-down, target: n9}}\n",
        "5: faults[1].target: expected n1 to n3, random or storage, got n9",
    ),
    "late": (
        f"{B}faults:\n  - kind: stall\n    target: n1\n    for: 9s\n",
        "6: faults[0].for: expected after + jitter + for within phases.inject (6s), got 10s",
    ),
}

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_broken() -> list[str]:
    """Write the thirty files; returns their names."""
    for name, (text, _) in BROKEN.items():
        content = text.replace("NAME", name).encode() if isinstance(text, str) else text
        Path(f"{name}.yaml").write_bytes(content)
    return [f"{name}.yaml" for name in BROKEN]


def test_each_of_thirty_broken_files_is_told_with_its_line(capsys: Captured) -> None:
    files = write_broken()
    assert len(files) == 30
    assert app.main(["validate", *files]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    for line, (name, (_, expected)) in zip(out.splitlines(), BROKEN.items(), strict=True):
        assert line.startswith(f"{name}.yaml:{expected}")


def test_the_shipped_scenarios_are_right(capsys: Captured) -> None:
    files = [str(path) for path in shipped().values()]
    assert app.main(["validate", *files]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{file}: a scenario" for file in files]
    assert app.main(["validate", "--quiet", *files, "control"]) == 0
    assert capsys.readouterr() == ("", "")


def test_all_problems_of_a_file_are_told(capsys: Captured) -> None:
    Path("x.yaml").write_text(
        "name: x\nclaim: c\npolicy: y\nmemory:\n  pages: 0\nfoo: 1\nexpect: [a == 0, b == 0]\n"
    )
    Path("y.yaml").write_text(
        "name: y\nclaim: c\ncluster: {nodes: 2}\ncrunch: {kind: flood, target: n3, port: 9000}\n"
        "expect: [switch_drops == 0]\n"
    )
    Path("z.yaml").write_text("name: z\nclaim: c\n")
    assert app.main(["validate", "x.yaml", "y.yaml", "z.yaml", "nowhere.yaml"]) == 2
    lines = capsys.readouterr().out.splitlines()
    places = [line.partition(": expected")[0] for line in lines]
    assert places[:8] == [
        *("x.yaml:3: policy", "x.yaml:5: memory.pages", "x.yaml:6: foo"),
        *("x.yaml:7: expect[0]", "x.yaml:7: expect[1]"),
        *("y.yaml:4: crunch.port", "y.yaml:4: crunch.target", "y.yaml:5: expect[0]"),
    ]
    assert lines[8] == "z.yaml: a scenario"
    assert lines[9].startswith("no scenario file nowhere.yaml; shipped ones: ")


def test_programs_get_file_line_key_expected_and_got(capsys: Captured) -> None:
    write_broken()
    assert app.main(["validate", "--json", "on.yaml", "twice.yaml", "control"]) == 2
    found = orjson.loads(capsys.readouterr().out)
    assert found["problems"] == 2
    on, twice, control = found["files"]
    assert on["problems"] == [
        {
            "line": 3,
            "key": "capture",
            "expected": "true or false",
            "got": "'on'",
            "text": "on.yaml:3: capture: expected true or false, got 'on'",
        }
    ]
    assert (twice["problems"][0]["line"], twice["problems"][0]["key"]) == (3, None)
    assert control == {"file": "control", "problems": []}


def test_no_file_is_wrong_usage(capsys: Captured) -> None:
    assert app.main(["validate"]) == 2
    assert "Missing argument 'FILE...'" in capsys.readouterr().err
