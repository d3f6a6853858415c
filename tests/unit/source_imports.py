"""The imports of the product's sources, for tests of who imports what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("crunchbed", "topologies", "nodes", "reserve_agent")
"""The packages of the product; each imports only those behind it."""


def imported(source: str, package: str = "") -> Iterator[str]:
    """Every module that a source names in an import, anywhere; ``package`` is the source's own."""
    for node in ast.walk(ast.parse(source)):
        yield from (module for module, _ in imports_of(node, package))


def imports_of(node: ast.AST, package: str) -> Iterator[tuple[str, list[str]]]:
    """The modules that one statement imports, each with the names taken from it."""
    if isinstance(node, ast.Import):
        yield from ((name.name, []) for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        module = [*above, node.module] if node.level else [node.module]
        yield ".".join(part for part in module if part), [name.name for name in node.names]
    elif isinstance(node, ast.Call):
        yield from ((module, []) for module in _called(node))


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


def module_imports() -> dict[str, set[str]]:
    """The modules of ours that each of our modules imports, by their full names."""
    names = {module_name(ROOT / path): ROOT / path for path in sources()}

    def reached(path: Path) -> Iterator[str]:
        package = ".".join(path.relative_to(ROOT).parent.parts)
        for node in ast.walk(ast.parse(path.read_text())):
            for module, parts in imports_of(node, package):
                whole = [f"{module}.{part}" for part in parts]
                yield from (part if part in names else module for part in whole or [module])

    return {name: set(reached(path)) & names.keys() - {name} for name, path in names.items()}
