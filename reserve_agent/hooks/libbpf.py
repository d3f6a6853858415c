"""The few calls of libbpf that the agent needs, bound with ctypes.

Every call that fails raises ``HookError`` with libbpf's last message, so that a verifier's refusal
reaches the log instead of a bare errno.
"""

from __future__ import annotations

import ctypes as c
import mmap
import os
from collections import deque
from pathlib import Path
from typing import TypeVar

from reserve_agent.errors import HookError, MissingRequirement
from reserve_agent.hooks import libbpf_structs as structs

TC_INGRESS = 1
TC_EGRESS = 2
_EEXIST = 17
_TC_REPLACE = 1
_TC_HANDLE = _TC_PRIORITY = 1  # ours alone: interfaces of nodes carry no other filter
_ITERATOR = 28  # BPF_TRACE_ITER
_WARNING = 0

S = TypeVar("S", bound=c.Structure)

_PRINTER = c.CFUNCTYPE(c.c_int, c.c_int, c.c_char_p, c.c_void_p)


_POINTER_RESULTS = (
    "bpf_object__open_file",
    "bpf_object__find_map_by_name",
    "bpf_object__find_program_by_name",
    "bpf_program__attach_cgroup",
    "bpf_map__initial_value",
)
_messages: deque[str] = deque(maxlen=200)


def _load_library() -> c.CDLL:
    try:
        library = c.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        message = "libbpf.so.1 is missing; `apt-get install libbpf1` brings it"
        raise MissingRequirement(message) from error
    for name in _POINTER_RESULTS:
        getattr(library, name).restype = c.c_void_p
    library.libbpf_set_print(_printer)
    return library


def _keep_message(level: int, form: bytes, arguments: int) -> int:
    """Keep libbpf's warnings; the last ones explain a failure."""
    if level > _WARNING:
        return 0
    text = c.create_string_buffer(4096)
    _libc.vsnprintf(text, c.c_size_t(len(text)), form, c.c_void_p(arguments))
    _messages.append(text.value.decode(errors="replace").rstrip())
    return 0


_libc = c.CDLL(None, use_errno=True)
_printer = _PRINTER(_keep_message)
_library: c.CDLL | None = None


def _lib() -> c.CDLL:
    global _library
    if _library is None:
        _library = _load_library()
    return _library


def _fail(what: str, code: int) -> HookError:
    detail = next((line for line in reversed(_messages) if line), "")
    reason = os.strerror(code) if code else "unknown error"
    return HookError(f"{what}: {reason}" + (f" ({detail.splitlines()[-1]})" if detail else ""))


def _check(result: int, what: str) -> int:
    if result < 0:
        raise _fail(what, -result)
    return result


def _pointer(result: int | None, what: str) -> c.c_void_p:
    if not result:
        raise _fail(what, c.get_errno())
    return c.c_void_p(result)


class BpfObject:
    """One loaded object file: its maps and programs live as long as this does."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise MissingRequirement(f"{path} is not built; run `make setup`")
        opened = _lib().bpf_object__open_file(str(path).encode(), None)
        self._object = _pointer(opened, f"open {path}")
        self._links: list[c.c_void_p] = []

    def set_variable(self, section: str, value: bytes) -> None:
        """Set the start of a read-only data section before loading."""
        size = c.c_size_t()
        memory = _lib().bpf_map__initial_value(self._map(section), c.byref(size))
        c.memmove(_pointer(memory, section), value, len(value))

    def load(self) -> None:
        """Have the kernel verify and load everything."""
        _check(_lib().bpf_object__load(self._object), "load the hooks")

    def _map(self, name: str) -> c.c_void_p:
        found = _lib().bpf_object__find_map_by_name(self._object, name.encode())
        return _pointer(found, f"find map {name}")

    def map_fd(self, name: str) -> int:
        """File descriptor of a map, owned by the object."""
        return int(_lib().bpf_map__fd(self._map(name)))

    def _program(self, name: str) -> c.c_void_p:
        found = _lib().bpf_object__find_program_by_name(self._object, name.encode())
        return _pointer(found, f"find program {name}")

    def program_fd(self, name: str) -> int:
        """File descriptor of a program, owned by the object."""
        return int(_lib().bpf_program__fd(self._program(name)))

    def attach_cgroup(self, program: str, cgroup: Path) -> int:
        """Attach to a cgroup; the link dies with this process unless its descriptor is pinned.

        Returns the link's file descriptor, owned by the object.
        """
        directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
        try:
            attached = _lib().bpf_program__attach_cgroup(self._program(program), directory)
            link = _pointer(attached, f"attach {program} to {cgroup}")
            self._links.append(link)
            return int(_lib().bpf_link__fd(link))
        finally:
            os.close(directory)

    def attach_tc(self, program: str, ifindex: int, point: int) -> None:
        """Attach at clsact; must be called in the interface's network namespace.

        A filter that an earlier process has left there is replaced.
        """
        hook = structs.TcHook(c.sizeof(structs.TcHook), ifindex, point, 0)
        created = _lib().bpf_tc_hook_create(c.byref(hook))
        if created not in (0, -_EEXIST):
            _check(created, f"clsact on interface {ifindex}")
        descriptor = self.program_fd(program)
        name = (_TC_REPLACE, 0, _TC_HANDLE, _TC_PRIORITY)
        options = structs.TcOptions(c.sizeof(structs.TcOptions), descriptor, *name)
        attached = _lib().bpf_tc_attach(c.byref(hook), c.byref(options))
        _check(attached, f"attach {program} to interface {ifindex}")

    def detach_cgroup(self) -> None:
        """Detach the cgroup programs."""
        for link in self._links:
            _lib().bpf_link__destroy(link)
        self._links.clear()

    def detach_tc(self, ifindex: int) -> None:
        """Remove clsact, with every filter, from an interface of this network namespace."""
        both = TC_INGRESS | TC_EGRESS
        hook = structs.TcHook(c.sizeof(structs.TcHook), ifindex, both, 0)
        _check(_lib().bpf_tc_hook_destroy(c.byref(hook)), f"no clsact on interface {ifindex}")

    def close(self) -> None:
        """Detach the cgroup programs and drop every map and program."""
        self.detach_cgroup()
        _lib().bpf_object__close(self._object)


def iterate(program_fd: int, map_fd: int) -> bytes:
    """Run an iterator program over a map and return all that it writes."""
    target = structs.IterTarget(map_fd=map_fd)
    options = structs.LinkOptions(
        c.sizeof(structs.LinkOptions), 0, c.addressof(target), c.sizeof(target), 0
    )
    created = _lib().bpf_link_create(program_fd, 0, _ITERATOR, c.byref(options))
    link = _check(created, "attach an iterator")
    try:
        with os.fdopen(_check(_lib().bpf_iter_create(link), "start an iterator"), "rb") as output:
            return output.read()
    finally:
        os.close(link)


def value_size(map_fd: int) -> int:
    """Size in bytes of a map's value as the kernel has it."""
    info, size = structs.MapInfo(), c.c_uint32(c.sizeof(structs.MapInfo))
    found = _lib().bpf_obj_get_info_by_fd(map_fd, c.byref(info), c.byref(size))
    _check(found, "look at a map")
    return int(info.value_size)


def pin(fd: int, path: Path) -> None:
    """Pin a map or program into bpffs."""
    _check(_lib().bpf_obj_pin(fd, str(path).encode()), f"pin {path}")


def open_pinned(path: Path) -> int:
    """Open what is pinned at ``path``; the caller owns the file descriptor."""
    return _check(_lib().bpf_obj_get(str(path).encode()), f"open {path}")


def map_memory(fd: int, layout: type[S]) -> S:
    """The value of a one-entry mmapable array map, shared with the kernel, as a structure."""
    size = -(-c.sizeof(layout) // mmap.PAGESIZE) * mmap.PAGESIZE
    return layout.from_buffer(mmap.mmap(fd, size, mmap.MAP_SHARED))


def read_map(fd: int, key: int, buffer: c.Array[S] | S) -> None:
    """Copy a map value out (per-processor maps need an array with one entry for each)."""
    found = _lib().bpf_map_lookup_elem(fd, c.byref(c.c_uint32(key)), c.byref(buffer))
    _check(found, "read a map")


def possible_cpus() -> int:
    """How many values a per-processor map has."""
    return _check(_lib().libbpf_num_possible_cpus(), "count processors")


class TestRun:
    """A program that can be called: BPF_PROG_TEST_RUN with its buffers allocated once."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.context = structs.SkBuff()
        self._options = structs.TestRunOptions(sz=c.sizeof(structs.TestRunOptions), repeat=1)
        address = c.addressof(self.context)
        self._options.ctx_in = self._options.ctx_out = address
        self._options.ctx_size_in = self._options.ctx_size_out = c.sizeof(structs.SkBuff)
        self._reference = c.byref(self._options)
        self._call = _lib().bpf_prog_test_run_opts
        self.set_frame(bytes(64))

    def set_frame(self, frame: bytes) -> None:
        """The packet that the next calls see, from its Ethernet header."""
        self._frame = c.create_string_buffer(frame, len(frame))
        self._options.data_in = c.addressof(self._frame)
        self._options.data_size_in = len(frame)

    def __call__(self, repeat: int = 1) -> int:
        """Run it; ``context`` goes in and comes out. Returns the program's verdict."""
        self._options.repeat = repeat
        self._options.ctx_size_out = c.sizeof(structs.SkBuff)
        self._options.data_size_out = 0
        self.context.wire_len = 0  # the last call has set it, and would be obeyed
        result = self._call(self._fd, self._reference)
        if result < 0:
            raise _fail("run a program", -result)
        return int(self._options.retval)

    @property
    def duration_ns(self) -> int:
        """Mean nanoseconds of one repeat in the last call."""
        return int(self._options.duration)
