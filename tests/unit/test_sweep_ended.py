"""A sweep that a signal ends, or that could not begin, leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crunchbed.cli import app
from crunchbed.experiments.sweep import workers
from crunchbed.run.signals import ended_by_signals
from reserve_agent.errors import CrunchbedError

RUN = """
import fcntl, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_SH)
print("runs", flush=True)
signal.sigwait([signal.SIGTERM])
time.sleep(0.3)  # takes its cluster down
open(sys.argv[2], "w").write("undone")
"""
SWEEP = f"""
import signal, subprocess, sys, time
from pathlib import Path
from crunchbed.experiments.sweep.scratch import workplace
from crunchbed.host.scratch import LOCKED
from crunchbed.run.signals import ended_by_signals

signal.signal(signal.SIGHUP, signal.SIG_DFL)
try:
    with ended_by_signals(), workplace() as place:
        (place / "crunchbed-trial-x").mkdir()
        spec = place / "crunchbed-trial-x" / LOCKED
        spec.write_text("{{}}")
        run = subprocess.Popen([sys.executable, "-c", {RUN!r}, spec, sys.argv[1]],
                               stdout=subprocess.PIPE)
        run.stdout.readline()
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            run.terminate()
except KeyboardInterrupt as error:
    print(error, Path(sys.argv[1]).exists(), place.exists(), flush=True)
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_once_its_runs_have_ended(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(tmp_path / "undone")], stdout=subprocess.PIPE, text=True
    ) as sweep:
        assert sweep.stdout is not None
        assert sweep.stdout.readline() == "ready\n"
        sweep.send_signal(number)
        # The run had undone what it made before its directory was removed.
        assert sweep.stdout.readline() == f"{number.name} True False\n"
        assert sweep.wait(20) == 130
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_second_signal_does_not_stop_the_undoing() -> None:
    undone, before = [], signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), ended_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            undone.append(True)
    assert undone == [True]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("out", [(), ("--out", "mine")])
def test_a_scheduler_that_is_not_there_leaves_no_directory(
    out: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def nobody(address: str) -> None:
        raise CrunchbedError(f"--scheduler {address}: no scheduler answers")

    monkeypatch.setattr(workers, "connected", nobody)
    monkeypatch.chdir(tmp_path)
    vary = ("--vary", "heartbeat.misses=4,5", "--scheduler", "tcp://127.0.0.1:1")
    assert app.main(["sweep", "control", *vary, *out]) == 3
    assert "no scheduler answers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
