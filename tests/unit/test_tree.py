"""Sizes of files and functions, and the rooms of ``crunchbed/``."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("crunchbed", "topologies", "nodes", "reserve_agent", "bench", "dashboards")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40


@cache
def texts() -> dict[str, str]:
    """The sources of the product, by path below the root."""
    files = [path for part in PRODUCT for path in sorted((ROOT / part).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text() for path in files}


def long_functions(source: str) -> list[str]:
    """Name of every function that is too long, decorators not counted."""
    sizes = (
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [name for name, lines in sizes if lines > MAX_FUNCTION_LINES]


def test_all_sources_are_looked_at() -> None:
    assert {path.split("/")[0] for path in texts()} == set(PRODUCT)


def test_files_are_short() -> None:
    sizes = {path: len(text.splitlines()) for path, text in texts().items()}
    assert {path for path, lines in sizes.items() if lines > MAX_FILE_LINES} == set()


def test_a_long_function_is_found_and_a_short_one_is_not() -> None:
    short = "def short():\n" + MAX_FUNCTION_LINES // 2 * "    pass\n"
    method = "class A:\n    async def long(self):\n" + MAX_FUNCTION_LINES * "        pass\n"
    assert long_functions(short + method) == ["long"]


def test_functions_are_short() -> None:
    long = {f"{path}: {name}" for path, text in texts().items() for name in long_functions(text)}
    assert long == set()


def test_crunchbed_has_rooms_and_no_loose_modules() -> None:
    loose = {path.name for path in (ROOT / "crunchbed").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py"}


def test_every_folder_with_sources_is_a_package() -> None:
    folders = {Path(path).parent for path in texts()}
    assert [str(folder) for folder in folders if f"{folder}/__init__.py" not in texts()] == []
