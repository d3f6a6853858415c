"""Load a two-instruction program and attach it, at every kind of hook in turn.

usage: python -m crunchbed.host.probes.try_hooks CGROUP

Meant to be the only process of a network namespace, with an empty cgroup to itself. Whatever it
attaches ends with it. Prints a JSON object: name of a hook -> why it cannot be used, or "".
"""

from __future__ import annotations

import ctypes as c
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from reserve_agent.hooks.libbpf_structs import TcHook, TcOptions

# r0 = 1; exit. At a cgroup hook 1 means "go on"; in an empty namespace tc never asks.
_PROGRAM = bytes.fromhex("b7000000010000009500000000000000")
_LOOPBACK = 1
_TC_INGRESS, _TC_EGRESS = 1, 2


class _Cgroup(NamedTuple):
    """Numbers of <linux/bpf.h>: a program type and the attach types tried with it."""

    program_type: int
    attach_types: tuple[int, ...]


_SCHED_CLS = 3
CGROUP_HOOKS = {
    "bpf-cgroup-skb": _Cgroup(8, (0,)),  # INET_INGRESS
    "bpf-sockopt": _Cgroup(25, (22, 21)),  # SETSOCKOPT, GETSOCKOPT
    "bpf-connect": _Cgroup(18, (10, 11)),  # INET4_CONNECT, INET6_CONNECT
    "bpf-sendmsg": _Cgroup(18, (14, 15)),  # UDP4_SENDMSG, UDP6_SENDMSG
    "bpf-sock-release": _Cgroup(9, (34,)),  # INET_SOCK_RELEASE
}


class _LoadOptions(c.Structure):
    _fields_ = (("sz", c.c_size_t), ("attempts", c.c_int), ("expected_attach_type", c.c_int))


class _Refused(Exception):
    """The kernel refused a program or its attachment."""


def _check(result: int, what: str) -> int:
    if result < 0:
        raise _Refused(f"{what}: {os.strerror(-result)}")
    return result


def _load(bpf: c.CDLL, program_type: int, attach_type: int) -> int:
    options = _LoadOptions(c.sizeof(_LoadOptions), 0, attach_type)
    program = bpf.bpf_prog_load(
        program_type, b"try", b"GPL", _PROGRAM, c.c_size_t(len(_PROGRAM) // 8), c.byref(options)
    )
    return _check(program, "load")


def _try_cgroup(bpf: c.CDLL, hook: _Cgroup, cgroup: int) -> None:
    for attach_type in hook.attach_types:
        program = _load(bpf, hook.program_type, attach_type)
        _check(bpf.bpf_link_create(program, cgroup, attach_type, None), "attach")


def _try_tc(bpf: c.CDLL) -> None:
    program = _load(bpf, _SCHED_CLS, 0)
    hook = TcHook(c.sizeof(TcHook), _LOOPBACK, _TC_INGRESS | _TC_EGRESS, 0)
    _check(bpf.bpf_tc_hook_create(c.byref(hook)), "clsact")
    for hook.attach_point in (_TC_INGRESS, _TC_EGRESS):
        options = TcOptions(c.sizeof(TcOptions), program)
        _check(bpf.bpf_tc_attach(c.byref(hook), c.byref(options)), "attach")


def _reason(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except _Refused as error:
        return str(error)
    return ""


def main(arguments: list[str]) -> None:
    """Try everything and print the reasons."""
    cgroup = os.open(arguments[0], os.O_RDONLY | os.O_DIRECTORY)
    bpf = c.CDLL("libbpf.so.1")
    reasons = {"bpf-tc": _reason(partial(_try_tc, bpf))}
    for name, hook in CGROUP_HOOKS.items():
        reasons[name] = _reason(partial(_try_cgroup, bpf, hook, cgroup))
    print(json.dumps(reasons))  # noqa: T201 - the answer to the parent process


if __name__ == "__main__":
    main(sys.argv[1:])
