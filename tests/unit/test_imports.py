"""Which module may import which, read from the sources, and what pure folders load.

Imports go one way: crunchbed -> topologies -> nodes -> reserve_agent. A folder is pure or does I/O.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("crunchbed", "topologies", "nodes", "reserve_agent")
"""The packages of the product; each imports only those behind it."""
HOMES = {
    "mininet": ("topologies/", "nodes/"),
    "prometheus_client": ("reserve_agent/exposition.py",),
    "os_ken": ("reserve_agent/controller/",),
    "ryu": ("reserve_agent/controller/",),
}
"""The only places where a package may be imported."""

PURE = (
    "reserve_agent/contract",
    "reserve_agent/model",
    "reserve_agent/controller/rules",
    "nodes/membership",
    "crunchbed/scenario",
    "crunchbed/expect",
    "crunchbed/checks",
    "crunchbed/experiments/stats",
    "crunchbed/faults",
    "crunchbed/risk",
    "crunchbed/calibrate",
)
"""Folders that read no clock, open no file or socket, and start nothing."""
HARMLESS = {
    *("__future__", "abc", "ast", "bisect", "collections", "contextlib", "copy", "dataclasses"),
    *("difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "inspect"),
    *("ipaddress", "itertools", "json", "math", "numbers", "operator", "random", "re"),
    *("statistics", "string", "struct", "textwrap", "types", "typing"),
    *("pydantic", "pydantic_core"),
}
"""Packages that a pure folder may import: ``random`` because the caller gives the seed."""
SHARED = {
    "crunchbed.run.abilities",  # the protocols that faults act on
    "crunchbed.run.values",
    "crunchbed.run.world",
    "crunchbed.history",  # the history's types; the files are read by their callers
    "reserve_agent.controller.wiring",  # the description of a network, all dataclasses
    "reserve_agent.errors",
    "reserve_agent.sizing",  # arithmetic
    "topologies.layout",  # the description of a network, which imports nothing
}
"""Modules of ours outside of the pure folders that they may import."""
READERS: dict[str, set[str]] = {
    # Scenario files are found and read, and positions in them are kept for messages.
    "crunchbed/scenario/loader.py": {"os", "pathlib", "sysconfig"},
    # And so are the profile files that they, or keys that are set, name.
    "crunchbed/scenario/profile_file.py": {"os", "pathlib", "reserve_agent.profile_files"},
    "crunchbed/scenario/yaml.py": {"io", "ruamel"},
    # The one place that knows result.json: the model, and its file.
    "crunchbed/checks/result.py": {"orjson", "pathlib", "reserve_agent.files"},
    # Imported in the functions that need them: bootstrap intervals and rank statistics.
    "crunchbed/experiments/stats/interval.py": {"numpy", "scipy"},
    "crunchbed/experiments/stats/paired.py": {"scipy"},
}
"""Exceptions by file, each with its reason."""


def imported(source: str, package: str = "") -> Iterator[str]:
    """Every module that a source names in an import, anywhere; ``package`` is the source's own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            module = [*above, node.module] if node.level else [node.module]
            yield ".".join(part for part in module if part)
        elif isinstance(node, ast.Call):
            yield from _called(node)


def _called(node: ast.Call) -> Iterator[str]:
    """``import_module("x")`` and ``__import__("x")``."""
    function = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
    name = function.id if isinstance(function, ast.Name) else function
    if name in ("import_module", "__import__") and node.args:
        argument = node.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


@cache
def sources() -> dict[str, frozenset[str]]:
    """Modules imported by each file of the product, by path below the root."""
    return {
        str(path.relative_to(ROOT)): frozenset(
            imported(path.read_text(), ".".join(path.relative_to(ROOT).parent.parts))
        )
        for layer in LAYERS
        for path in sorted((ROOT / layer).rglob("*.py"))
    }


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_the_reader_sees_every_kind_of_import() -> None:
    source = """
import a.b as c, d
from e.f import g
def late():
    if True:
        from h import i
        importlib.import_module("j.k")
        __import__("l")
from . import m
from ..n import o
"""
    modules = {"a.b", "d", "e.f", "h", "j.k", "l", "p.q", "p.n"}
    assert set(imported(source, "p.q")) == modules


def test_all_sources_are_looked_at() -> None:
    layers = {path.split("/")[0] for path in sources()}
    assert layers == set(LAYERS)
    assert len(sources()) > 50


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    forbidden = {*LAYERS[: LAYERS.index(layer)], "tests"}
    wrong = [
        f"{path} imports {module}"
        for path, modules in sources().items()
        if path.startswith(f"{layer}/")
        for module in sorted(modules)
        if module.split(".")[0] in forbidden
    ]
    assert wrong == []


BACKENDS = "crunchbed/backends"


def test_backends_share_what_is_common_and_know_nothing_of_each_other() -> None:
    rooms = {path.split("/")[2] for path in sources() if path.startswith(f"{BACKENDS}/")}
    rooms -= {"__init__.py"}
    assert rooms > {"common"}
    wrong = [
        f"{path} imports {module}"
        for room in rooms
        for path, modules in sources().items()
        if in_folder(path, f"{BACKENDS}/{room}")
        for module in sorted(modules)
        for other in rooms - {room, "common"}
        if f"{module}.".startswith(f"{BACKENDS.replace('/', '.')}.{other}.")
    ]
    assert wrong == []


@pytest.mark.parametrize("package", HOMES)
def test_a_package_is_imported_in_its_place_only(package: str) -> None:
    wrong = [
        path
        for path, modules in sources().items()
        if any(module.split(".")[0] == package for module in modules)
        and not path.startswith(HOMES[package])
    ]
    assert wrong == []


def in_folder(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def may_be_imported(module: str) -> bool:
    """Whether every file of a pure folder may import this module."""
    within = [*SHARED, *(folder.replace("/", ".") for folder in PURE)]
    return module.split(".")[0] in HARMLESS or any(
        f"{module}.".startswith(f"{name}.") for name in within
    )


def impure_imports() -> dict[str, set[str]]:
    """What files of pure folders import that not every one of them may."""
    found = {}
    for path, modules in sources().items():
        if any(in_folder(path, folder) for folder in PURE):
            wrong = {module for module in modules if not may_be_imported(module)}
            found[path] = {module if ours(module) else module.split(".")[0] for module in wrong}
    return {path: wrong for path, wrong in found.items() if wrong}


def ours(module: str) -> bool:
    return module.split(".")[0] in LAYERS


def test_pure_folders_import_nothing_that_does_input_or_output() -> None:
    assert impure_imports() == READERS


def opened(source: str) -> bool:
    """Whether a source calls ``open`` or ``print``, which need no import."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("open", "print", "input")
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("folder", PURE)
def test_pure_folders_open_and_print_nothing(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert [str(file) for file in files if opened(file.read_text())] == []


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


BINDINGS = ("ctypes", "mininet", "nbd", "os_ken", "prometheus_client", "pyroute2")
"""Packages that bind to libraries, the kernel or a framework."""


@pytest.mark.parametrize("folder", PURE)
def test_a_pure_folder_loads_no_binding(folder: str) -> None:
    """Neither itself nor by the modules that it imports, in an interpreter of its own."""
    modules = ", ".join(module_name(path) for path in sorted((ROOT / folder).rglob("*.py")))
    done = run_python(f"""
import sys
import {modules}
wrong = [name for name in sys.modules if name.split(".")[0] in {BINDINGS}]
print(*wrong, *(name for name in sys.modules if name.startswith("reserve_agent.hooks")))
""")
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_the_core_loads_where_mininet_libbpf_and_pyroute2_are_missing() -> None:
    """The engine, the checks and the rules know no backend."""
    done = run_python("""
import ctypes, sys
sys.modules.update(dict.fromkeys(("mininet", "pyroute2", "nbd")))
class NoLibrary(ctypes.CDLL):
    def __init__(self, name, *arguments, **options):
        if name is not None and "bpf" in name:
            raise OSError(f"no {name}")
        super().__init__(name, *arguments, **options)
ctypes.CDLL = NoLibrary
import crunchbed.checks.judge, crunchbed.run.engine, crunchbed.scenario.loader
import reserve_agent.model.node, nodes.membership.protocol
""")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_starts_often_and_must_be_quick_needs_nothing() -> None:
    """Every start of a daemon pays for this module, which a bare interpreter runs."""
    assert sources()["nodes/enter.py"] == {"__future__", "ctypes", "os", "resource", "sys"}
