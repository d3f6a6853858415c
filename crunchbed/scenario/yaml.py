"""YAML as plain values that still know their lines."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from reserve_agent.errors import BadInput

MAX_VALUES: Final = 10_000
"""Values in one file; aliases of aliases could make it explode."""


class Document:
    """A parsed file: ``value`` is plain Python, ``line`` finds a path in the text."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._left = MAX_VALUES
        self._root = _parse(text, source)
        self.value = self._plain(self._root, 1, 0)

    def line(self, path: tuple[str | int, ...], *, at_key: bool = False) -> int:
        """Return the line, from 1, of the value at ``path``, or of the deepest part there is.

        ``at_key`` asks for the line of the value's key instead.
        """
        node, line = self._root, 1
        for depth, part in enumerate(path):
            if isinstance(node, CommentedMap) and part in node:
                last_key = at_key and depth == len(path) - 1
                line = _line(node, part, line, of_key=last_key or not _is_scalar(node[part]))
            elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
                line = int(node.lc.item(part)[0]) + 1
            else:
                break
            node = node[part]
        return line

    def _plain(self, node: object, line: int, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > 20:
            raise BadInput(f"{self.source}:{line}: expected a small file, got aliases without end")
        if isinstance(node, CommentedMap):
            plain = {}
            for key, value in node.items():
                at = _line(node, key, line, of_key=True)
                if not isinstance(key, str):
                    raise BadInput(f"{self.source}:{at}: expected a key that is text, got {key!r}")
                plain[str(key)] = self._plain(value, at, depth + 1)
            return plain
        if isinstance(node, CommentedSeq):
            return [self._plain(value, line, depth + 1) for value in node]
        for kind in (bool, int, float, str):
            if isinstance(node, kind):
                return kind(node)
        return None if node is None else str(node)


def load_text(text: str, source: str) -> object:
    """Return a piece of YAML, such as one value on a command line, as plain Python."""
    return Document(text, source).value


def text_of(value: Mapping[str, Any]) -> str:
    """Return ``value`` as block-style YAML that reads back equal."""
    yaml = YAML(typ="rt")
    yaml.default_flow_style = False
    yaml.width = 4096
    buffer = io.StringIO()
    yaml.dump(dict(value), buffer)
    return buffer.getvalue()


def _parse(text: str, source: str) -> object:
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = " ".join(f"{error.problem or error.context}".split())
        raise BadInput(f"{source}:{line}: not valid YAML: {problem}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())[:120]
        raise BadInput(f"{source}:1: not valid YAML: {problem or 'nested too deep'}") from error


def _is_scalar(node: object) -> bool:
    return node is not None and not isinstance(node, CommentedMap | CommentedSeq)


def _line(node: CommentedMap, key: object, default: int, *, of_key: bool) -> int:
    # Keys that a merge (<<) brought have no place of their own.
    place = (node.lc.data or {}).get(key)
    if place is None:
        return default
    return int(place[0 if of_key else 2]) + 1
