"""Who may import what, read from the sources: crunchbed -> topologies -> nodes -> reserve_agent."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("crunchbed", "topologies", "nodes", "reserve_agent")
HOMES = {
    "mininet": ("topologies/", "nodes/"),
    "prometheus_client": (),
    "os_ken": ("reserve_agent/controller/",),
    "ryu": ("reserve_agent/controller/",),
}
"""Where alone a package may be imported; nowhere but in tests where there is no place."""


def imported(source: str, package: str = "") -> Iterator[str]:
    """Every module that a source names in an import, wherever it stands; ``package`` is its own."""
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


@pytest.mark.parametrize("package", HOMES)
def test_a_package_is_imported_in_its_place_only(package: str) -> None:
    wrong = [
        path
        for path, modules in sources().items()
        if any(module.split(".")[0] == package for module in modules)
        and not path.startswith(HOMES[package])
    ]
    assert wrong == []


def test_what_starts_often_and_must_be_quick_needs_nothing() -> None:
    """Every start of a daemon pays for this one; it is run by a bare interpreter."""
    assert sources()["nodes/enter.py"] == {"__future__", "ctypes", "os", "resource", "sys"}
