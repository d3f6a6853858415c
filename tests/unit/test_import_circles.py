"""No module of the product needs, by way of its imports, itself.

All imports of a source count, wherever they stand: also those inside functions, and those for type
checkers alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, KeysView, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("crunchbed", "topologies", "nodes", "reserve_agent")

Graph = Mapping[str, frozenset[str]]


def graph_of(root: Path) -> Graph:
    """Return the modules below ``root`` that each module there imports."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    sources = {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}
    names = {name.removesuffix(".__init__"): path for name, path in sources.items()}
    return {
        name: frozenset(imported(ast.parse(path.read_text()), names.keys())) - {name}
        for name, path in names.items()
    }


def imported(source: ast.Module, known: KeysView[str]) -> Iterator[str]:
    """Yield every module of ``known`` that the source imports; only absolute imports count."""
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if node.module in known and not set(inner) <= known:
                yield str(node.module)


def circle(graph: Graph) -> list[str]:
    """Return the modules of one circle, the first again at the end; empty where there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_a_circle_is_found_however_it_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes/__init__.py").write_text("")
    (tmp_path / "nodes/a.py").write_text("def late():\n    from nodes import b\n")
    (tmp_path / "nodes/c.py").write_text("import nodes.a\n")
    (tmp_path / "nodes/b.py").write_text("x = 1\n")
    assert circle(graph_of(tmp_path)) == []
    hidden = "if TYPE_CHECKING:\n    from nodes.c import X\n"
    (tmp_path / "nodes/b.py").write_text(hidden)
    assert circle(graph_of(tmp_path)) == ["nodes.a", "nodes.b", "nodes.c", "nodes.a"]


def test_the_product_has_no_circle_of_imports() -> None:
    graph = graph_of(ROOT)
    assert len(graph) > 300
    assert circle(graph) == []
