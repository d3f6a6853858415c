"""Probes of the kernel's hooks: each is really loaded and attached, away from any traffic."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import orjson

from crunchbed.host.probes.machine import NOT_TRIED, Machine, Seen
from crunchbed.host.probes.system import Probe
from nodes.cgroup import cgroup2_root
from reserve_agent.errors import CrunchbedError
from reserve_agent.hooks.libbpf import BpfObject
from reserve_agent.hooks.loader import OBJECT_PATH


def hook(name: str) -> Probe:
    """Whether a program can be attached at one kind of hook; see ``try_hooks`` for the names."""

    def probe(machine: Machine) -> Seen:
        if machine.euid() != 0:
            return NOT_TRIED
        try:
            reason = _refusals(machine)[name]
        except CrunchbedError as error:
            reason = str(error)
        return Seen(not reason, reason or "loaded and attached")

    return probe


@lru_cache(maxsize=1)
def _refusals(machine: Machine) -> dict[str, str]:
    """Why each hook cannot be used; one process tries them all, once."""
    with _empty_cgroup(machine) as cgroup:
        program = (sys.executable, "-m", "crunchbed.host.probes.try_hooks", str(cgroup))
        answer = machine.run(("unshare", "--net", *program))
    if not answer.ok:
        raise CrunchbedError(answer.reason)
    reasons: dict[str, str] = orjson.loads(answer.output)
    return reasons


@contextlib.contextmanager
def _empty_cgroup(machine: Machine) -> Iterator[Path]:
    cgroup = cgroup2_root(machine.mounts) / f"crunchbed-check-{os.getpid()}"
    try:
        cgroup.mkdir()
    except OSError as error:
        raise CrunchbedError(f"cannot make {cgroup}: {error.strerror}") from error
    try:
        yield cgroup
    finally:
        cgroup.rmdir()


def hook_object(machine: Machine) -> Seen:
    """Whether the compiled hooks are there and this kernel's verifier accepts them."""
    if not OBJECT_PATH.exists():
        return Seen(present=False, detail=f"no {OBJECT_PATH}")
    if machine.euid() != 0:
        return NOT_TRIED
    try:
        with contextlib.closing(BpfObject(OBJECT_PATH)) as compiled:
            compiled.load()
    except CrunchbedError as error:
        return Seen(present=False, detail=str(error))
    return Seen(present=True, detail="accepted by this kernel")
