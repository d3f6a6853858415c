"""Holders of namespaces: one that dies or hangs is an error, and no wait for ever."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest

from reserve_agent.errors import CrunchbedError

parts = pytest.importorskip("topologies.parts")


def host(monkeypatch: pytest.MonkeyPatch, *argv: str) -> Any:
    """A host whose namespace something else should make."""
    popen = subprocess.Popen
    monkeypatch.setattr(parts.subprocess, "Popen", lambda _argv, **more: popen(argv, **more))
    return parts.ClusterHost("k3xqn1")


def test_a_holder_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = host(monkeypatch, "sh", "-c", "exit 7")
    before = time.monotonic()
    with pytest.raises(CrunchbedError, match=r"holds k3xqn1 has died \(7\)"):
        made.settle()
    assert time.monotonic() - before < 5
    parts.end_hosts([made])


def test_a_namespace_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "NAMESPACE_SECONDS", 0.2)
    made = host(monkeypatch, "sleep", "60")
    with pytest.raises(CrunchbedError, match="k3xqn1 gets no network namespace"):
        made.settle()
    holder = made.shell
    parts.end_hosts([made])
    assert holder.returncode == -9


def test_a_holder_ends_when_nobody_holds_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    made = host(monkeypatch, "sh", "-c", "read _")
    made.stdin.close()
    assert made.shell.wait(5) == 1
