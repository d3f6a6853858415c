"""The attendant as a process, and as the run sees it: operations, history, metrics, delay."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nodes.guest.attendant import Attendant, shared_memory
from nodes.guest.config import AttendantConfig
from nodes.guest.layout import SHARED_BYTES
from nodes.membership.detectors.settings import to_record
from reserve_agent.config_files import write_config
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.client import LineClient
from tests.unit.fake_guest import MIN_PAGES, MS, FakeGuest
from tests.unit.guest_cluster import INTERVAL_NS, config

ROOT = Path(__file__).parents[2]
OFFSET_NS = 1_000_000_000


def settings(scratch: Path, **changes: Any) -> AttendantConfig:
    paths = {name: scratch / name for name in ("memory", "socket", "history", "fence")}
    return config("n1", ["n1", "n2"], **(paths | changes))


def written(path: Path, of: AttendantConfig) -> None:
    record = asdict(of)
    record["heartbeat"]["detector"] = to_record(of.heartbeat.detector)
    write_config(path, record)


class Machine:
    """A fake guest in a thread, in real time; its peer is not there."""

    def __init__(self, memory: memoryview) -> None:
        self.guest = FakeGuest(memory, "10.0.0.1", time.monotonic_ns, OFFSET_NS, self._deliver)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _deliver(self, _source: str, _target: str, _payload: bytes) -> None:
        """Nobody is there."""

    def _run(self) -> None:
        while not self._over.wait(0.0005):
            self.guest.run()

    def off(self) -> None:
        """Take the power away."""
        self._over.set()
        self._thread.join()


class Running:
    """An attendant that is a process, asked by its socket."""

    def __init__(self, of: AttendantConfig, scratch: Path) -> None:
        self.config = of
        written(scratch / "config.json", of)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nodes.guest", str(scratch / "config.json")],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.machines: list[Machine] = []
        self.wait(self._connect)

    def _connect(self) -> bool:
        with contextlib.suppress(CrunchbedError):  # no socket yet, or not listening yet
            self._client = LineClient(self.config.socket)
            return True
        return False

    def wait(self, condition: Callable[[], bool]) -> None:
        """Return when a condition holds."""
        until = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < until
            assert self.process.poll() is None
            time.sleep(0.002)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Ask it."""
        return self._client.ask(op=op, **fields)

    def boot(self, incarnation: int = 0) -> Machine:
        """Boot the guest; returns when heartbeats and writes go on."""
        self.ask("boot", incarnation=incarnation)
        machine = Machine(shared_memory(self.config.memory))
        self.machines.append(machine)
        machine.guest.boot()
        self.wait(lambda: set(self.ask("status")["ready"]) == {"heartbeat", "initiator"})
        return machine

    def history(self) -> list[dict[str, Any]]:
        """Return what is on file; the last line may be half written."""
        whole, _, _ = self.config.history.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [event for event in self.history() if event["kind"] == kind]

    def end(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def close(self) -> None:
        """Leave nothing behind."""
        for machine in self.machines:
            machine.off()
        self._client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def attendant(tmp_path: Path) -> Iterator[Running]:
    running = Running(settings(tmp_path), tmp_path)
    yield running
    running.close()


def test_one_boot_after_another_from_the_first_question_to_the_closed_history(
    attendant: Running,
) -> None:
    off = attendant.ask("status")
    assert off["guest"] == {"state": "off", "failure": None, "kernel": ""}
    assert off["ready"] == {}
    machine = attendant.boot()
    status = attendant.ask("status")
    assert status["guest"] == {"state": "ready", "failure": None, "kernel": "6.1.0-test-amd64"}
    assert (status["policy"], status["view"]) == ("none", ["n1", "n2"])
    assert status["pool"]["reserve"] == MIN_PAGES
    assert status["pool"]["pressure"] is False
    attendant.wait(lambda: attendant.ask("status")["written"] >= 8)
    with pytest.raises(CrunchbedError, match="the last life has not ended"):
        attendant.ask("boot", incarnation=1)
    machine.off()
    attendant.ask("reset")
    assert attendant.ask("status")["guest"]["state"] == "off"
    assert attendant.of("node.reset")
    machine = attendant.boot(1)
    assert attendant.of("daemon.ready")[-1]["name"] == "initiator"
    assert attendant.ask("quiesce")["ok"]
    attendant.wait(lambda: attendant.ask("quiesce")["writing"] == 0)
    attendant.ask("packets")
    assert attendant.history()[-1]["kind"] == "pool.sample"
    machine.off()
    attendant.ask("reset")
    assert attendant.end() == 0
    events = attendant.history()
    assert events[-1]["kind"] == "part.closed"
    assert sum(events[-1]["kinds"].values()) == len(events) - 1
    assert not [event for event in events if event["kind"] == "events.lost"]


def test_the_attendant_adds_less_than_a_tenth_of_the_interval_in_real_time(
    attendant: Running,
) -> None:
    machine = attendant.boot()
    attendant.wait(lambda: len(attendant.of("heartbeat.sent")) >= 20)
    machine.off()
    late = sorted(event["t"] % INTERVAL_NS for event in attendant.of("heartbeat.sent"))
    # A busy machine may hold each of the three processes up; most heartbeats show what is added.
    assert late[len(late) // 2] < INTERVAL_NS // 10


def test_samples_go_on_while_the_guest_is_off(attendant: Running) -> None:
    machine = attendant.boot()
    machine.off()
    attendant.ask("reset")
    count = len(attendant.of("pool.sample"))
    attendant.wait(lambda: len(attendant.of("pool.sample")) > count + 4)
    times = [event["t"] for event in attendant.of("pool.sample")]
    assert attendant.of("pool.sample")[-1]["dirty"] == 0
    assert times == sorted(times)


def test_metrics_are_the_guests(attendant: Running) -> None:
    machine = attendant.boot()
    port = attendant.ask("status")["metrics_port"]
    assert attendant.of("pool.config")[0]["metrics_port"] == port
    # A series of writes begins with the first acknowledged one, and the initiator is ready before.
    attendant.wait(lambda: attendant.ask("status")["written"] >= 1)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    machine.off()
    assert f'crunchbed_pages_reserved{{node="n1"}} {MIN_PAGES}.0' in text
    assert 'crunchbed_pages_free{node="n1"} 5000.0' in text
    assert 'crunchbed_run_info{node="n1",policy="none"' in text
    assert 'crunchbed_block_io_seconds_count{node="n1",op="write",transport="nbd"}' in text


def test_crunches_and_policies_are_asked_for_by_name(attendant: Running) -> None:
    machine = attendant.boot()
    start = time.monotonic_ns() + 50 * MS
    assert attendant.ask("windows", windows=[[start, start + 100 * MS, 64]]) == {"ok": True}
    attendant.wait(lambda: attendant.of("guest.window") != [])
    (window,) = attendant.of("guest.window")
    assert (window["asked"], window["requested_pages"]) == (start, 64)
    assert attendant.of("pressure.end")[0]["duration_ns"] == 100 * MS
    attendant.ask("burst", pages=400, rate=100_000, start_ns=time.monotonic_ns())
    attendant.wait(lambda: attendant.ask("status")["pool"]["demand"] == 0)
    assert attendant.of("dirty.progress")[-1]["dirtied"] == 400
    assert attendant.ask("calm") == {"ok": True}
    assert attendant.ask("reader", port=9001, memalloc=False) == {"ok": True}
    assert attendant.ask("wake") == {"ok": True}
    assert attendant.ask("resize", reserve=64) == {"ok": True}
    assert attendant.ask("policy", policy="memalloc") == {"ok": True}
    assert attendant.ask("status")["policy"] == "memalloc"
    assert attendant.ask("forget_neighbours")["forgotten"] == 2
    event = {"kind": "writes.verified", "lost": 0}
    assert attendant.ask("event", event=event) == {"ok": True}
    assert attendant.of("writes.verified")[0]["node"] == "n1"
    machine.off()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"op": "policy", "policy": "softnet"}, "a stock kernel has none and memalloc"),
        ({"op": "windows", "windows": [[5, 5, 0]]}, "start before end"),
        ({"op": "windows", "windows": [[1, 5, 0]]}, "the guest is not ready"),
        ({"op": "burst", "pages": 1, "rate": 1, "start_ns": 1}, "the guest is not ready"),
        ({"op": "calm"}, "the guest is not ready"),
        ({"op": "reader", "port": 1, "memalloc": False}, "the guest is not ready"),
        ({"op": "resize", "reserve": 64}, "the guest is not ready"),
        ({"op": "event", "event": {"kind": 5}}, "expected an event"),
        ({"op": "losses", "losses": []}, "unknown operation"),
        ({"op": "boot"}, "incarnation"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(
    tmp_path: Path, question: dict[str, Any], words: str
) -> None:
    attendant = Attendant(settings(tmp_path))
    reply = attendant._operations.answer(question)
    attendant.close()
    assert words in reply["error"]
    assert "\n" not in reply["error"]


def test_the_memory_is_a_file_of_its_size(tmp_path: Path) -> None:
    memory = shared_memory(tmp_path / "memory")
    assert (tmp_path / "memory").stat().st_size == SHARED_BYTES
    memory[5] = 7
    assert (tmp_path / "memory").read_bytes()[5] == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policy": "softnet"}, "a stock kernel has none and memalloc"),
        ({"memalloc": ["swap"]}, "unknown class swap"),
        ({"poll": 50_000_000}, "a tenth of the interval"),
        ({"colour": "red"}, "unknown setting colour"),
    ],
)
def test_a_configuration_that_is_wrong_is_one_line_and_exit_code_2(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    record = asdict(settings(tmp_path))
    record["heartbeat"]["detector"] = {"kind": "fixed"}
    path = tmp_path / "config.json"
    write_config(path, record | change)
    done = subprocess.run(
        [sys.executable, "-m", "nodes.guest", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
