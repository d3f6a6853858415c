"""Mininet's shells: one that dies or keeps quiet is an error, and no wait for ever."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from reserve_agent.errors import CrunchbedError

parts = pytest.importorskip("topologies.parts")


def host(*argv: str) -> Any:
    """A host whose shell is something else."""

    class Host(parts.ClusterHost):  # type: ignore[misc, name-defined]
        def _popen(self, _cmd: Sequence[str], **params: Any) -> Any:
            return super()._popen(argv, **params)

    return Host("k3xqn1", inNamespace=False)


@pytest.mark.parametrize("last_words", ["", "bash: no memory"])
def test_a_shell_that_dies_is_told(last_words: str) -> None:
    before = time.monotonic()
    with pytest.raises(CrunchbedError, match=r"the shell of k3xqn1 has died \(7\)"):
        host("sh", "-c", f"printf '{last_words}'; exit 7")
    assert time.monotonic() - before < 5


def test_a_shell_that_says_nothing_is_told_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SHELL_SECONDS", 0.2)
    ended = []
    monkeypatch.setattr(parts, "end_shell", lambda node: ended.append(_end(node)))
    with pytest.raises(CrunchbedError, match="the shell of k3xqn1 says nothing"):
        host("sleep", "60")
    assert ended == [-9]


def _end(node: Any) -> int:
    shell = node.shell
    shell.kill()
    node.cleanup()
    return int(shell.wait())
