"""How daemons start, read their configuration and stop."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from nodes.__main__ import MODULES, run
from nodes.daemon import Stop, connect_events, main
from nodes.pace import Pace
from reserve_agent.config_files import build, read_config
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.events import NoEvents


@dataclass(frozen=True)
class Part:
    name: str
    rate: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Config:
    node: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    places: tuple[Path, ...] = ()
    secret: tuple[str, str] | None = None
    limit: int | None = None
    letters: str = field(default="", metadata={"read": "".join})


RECORD = {
    "node": "n1",
    "parts": {"a": {"name": "x", "rate": 2}},
    "places": ["/run/a", "/run/b"],
    "secret": ["me", "s3cret"],
    "limit": None,
    "letters": ["a", "b"],
}


def test_a_configuration_is_read_by_the_types_of_its_fields() -> None:
    assert build(RECORD, Config) == Config(
        node="n1",
        parts={"a": Part("x", 2)},
        places=(Path("/run/a"), Path("/run/b")),
        secret=("me", "s3cret"),
        letters="ab",
    )
    assert build({"node": "n1"}, Config) == Config(node="n1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nod": 1, "an": 2}, "unknown setting an, nod"),
        ({"node": 3}, "node: expected str, got 3"),
        ({"limit": "3"}, "limit: expected int, got '3'"),
        ({"places": "/run"}, r"places: expected tuple.*, got '/run'"),
        ({"places": [1]}, "places: expected Path, got 1"),
        ({"parts": []}, r"parts: expected Mapping.*, got \[\]"),
        ({"parts": {"a": {"rate": 1}}}, "missing setting name"),
        ({"parts": {"a": "x"}}, "expected an object with settings, got 'x'"),
        ({"secret": ["me"]}, r"secret: expected tuple.*, got \['me'\]"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "n1.json"
    path.write_bytes(orjson.dumps(RECORD | change))
    with pytest.raises(BadInput, match=rf"n1\.json: .*{message}") as caught:
        read_config(path, Config)
    assert "\n" not in str(caught.value)


def test_what_must_be_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="missing setting node"):
        build({}, Config)
    with pytest.raises(BadInput, match=r"nosuch\.json: .*No such file"):
        read_config(tmp_path / "nosuch.json", Config)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(BadInput, match=r"broken\.json: "):
        read_config(tmp_path / "broken.json", Config)


@pytest.fixture(autouse=True)
def same_signals_after() -> Iterator[None]:
    handler, descriptor = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    yield
    signal.signal(signal.SIGTERM, handler)
    signal.set_wakeup_fd(descriptor)


def test_sigterm_stops_and_wakes() -> None:
    stop = Stop()
    assert not stop
    assert select.select([stop], [], [], 0)[0] == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop
    assert select.select([stop], [], [], 0)[0] == [stop]


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 0), (BadInput("no"), 2), (CrunchbedError("no"), 3), (OSError("no"), 1)],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception | None,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "n1.json"
    path.write_bytes(orjson.dumps(RECORD))
    monkeypatch.setattr(sys, "argv", ["nodes.x", str(path)])

    def body(config: Config, stop: Stop) -> None:
        assert (config.node, bool(stop)) == ("n1", False)
        if error is not None:
            raise error

    assert main("x", Config, body) == code
    assert capsys.readouterr().err == ("" if error is None else "x: no\n")


def test_without_a_file_there_is_no_daemon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nodes.x"])
    assert main("x", Config, lambda _config, _stop: None) == 2
    assert capsys.readouterr().err == "x: expected one argument, a configuration file\n"


@pytest.mark.parametrize("name", MODULES)
def test_every_daemon_is_started_by_its_name(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nodes", "/nosuch.json"])
    assert run(name) == 2
    assert capsys.readouterr().err.startswith(f"{name}: /nosuch.json: ")


def test_without_an_agent_events_go_nowhere() -> None:
    assert isinstance(connect_events(None, "traffic"), NoEvents)


SECOND = 1_000_000_000


def test_traffic_is_even_and_a_pause_is_not_made_up_for() -> None:
    pace = Pace(1000, 0, None)
    assert sum(pace.due(step * SECOND // 100) for step in range(1, 101)) == 1000
    assert pace.due(5 * SECOND) == 100, "a tenth of a second's packets at most"
    assert pace.due(5 * SECOND) == 0


def test_traffic_with_an_end_is_sent_to_the_last_packet() -> None:
    pace = Pace(1000, SECOND, 2 * SECOND)
    assert pace.due(SECOND // 2) == 0
    assert pace.due(5 * SECOND) == 1000
    assert pace.due(6 * SECOND) == 0
