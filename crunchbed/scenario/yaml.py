"""YAML as plain values that still know their lines.

Only what JSON has too is read: mappings with text as keys, lists, text, numbers, true, false and
null, by the core schema of YAML 1.2. The library scans and parses; values are made here, so that
no tag can ask for anything else.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, NoReturn, Self

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError

from reserve_agent.errors import BadInput

MAX_VALUES: Final = 10_000
"""Values in one file; aliases of aliases could make it explode."""
MAX_CHARACTERS: Final = 100_000
MAX_DEPTH: Final = 20
_MAX_BRACKETS: Final = 60
"""Brackets open at once, wherever they stand: the library's scanner is slow on many of them."""
_BRACKETS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}

_CORE: Final = "tag:yaml.org,2002:"
_SCALARS: Final = ("str", "int", "float", "bool", "null")
_NULL: Final = re.compile(r"~|null|Null|NULL|")
_BOOL: Final = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT: Final = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}|0b[01]{1,99}")
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_NO_TEXT: Final = re.compile("[\ud800-\udfff]")
_MERGE: Final = "<<"


class WrittenFloat(float):
    """A number with a point, and how it is written: 6.10 is another version than 6.1."""

    def __new__(cls, number: str, _written: str) -> Self:
        """Return the number."""
        return super().__new__(cls, number)

    def __init__(self, _number: str, written: str) -> None:
        self.written = written


@dataclass(slots=True)
class _Node:
    """One value of the text; entries of a mapping have the line of their key in front."""

    line: int
    value: bool | int | float | str | list[_Node] | dict[str, tuple[int, _Node]] | None


class Document:
    """A parsed file: ``value`` is plain Python, ``line`` finds a path in the text.

    Raises:
        BadInput: the text is no YAML, too large, or has what JSON has not; says the line.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._left = MAX_VALUES
        self._root = _Reader(text, source).document()
        self.value = self._plain(self._root, 0)

    def line(self, path: tuple[str | int, ...], *, at_key: bool = False) -> int:
        """Return the line, from 1, of the value at ``path``, or of the deepest part there is.

        ``at_key`` asks for the line of the value's key instead.
        """
        node, line = self._root, 1
        for depth, part in enumerate(path):
            if isinstance(node.value, dict) and part in node.value:
                key_line, node = node.value[str(part)]
                last_key = at_key and depth == len(path) - 1
                of_key = last_key or node.value is None or isinstance(node.value, dict | list)
                line = key_line if of_key else node.line
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.line
            else:
                break
        return line

    def _plain(self, node: _Node, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise BadInput(
                f"{self.source}:{node.line}: expected a small file, got aliases without end"
            )
        if isinstance(node.value, dict):
            return {key: self._plain(one, depth + 1) for key, (_, one) in node.value.items()}
        if isinstance(node.value, list):
            return [self._plain(one, depth + 1) for one in node.value]
        return node.value


def load_text(text: str, source: str) -> object:
    """Return a piece of YAML, such as one value on a command line, as plain Python.

    Raises:
        BadInput: as ``Document``.
    """
    return Document(text, source).value


def text_of(value: Mapping[str, Any]) -> str:
    """Return ``value`` as block-style YAML that reads back equal."""
    yaml = YAML(typ="rt")
    yaml.default_flow_style = False
    yaml.width = 4096
    buffer = io.StringIO()
    yaml.dump(dict(value), buffer)
    return buffer.getvalue()


class _Reader:
    """Makes values of the library's events, and bounds them."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._line = 1
        self._anchors: dict[str, _Node | None] = {}
        self._events = self._parsed(text)

    def document(self) -> _Node:
        """Read the one document that there may be; an empty text is null."""
        root = None
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent):
                if root is not None:
                    self._refuse("not valid YAML: but found another document")
                if event.version not in (None, (1, 2)):
                    self._refuse("expected YAML 1.2, got a directive for another version")
            elif isinstance(event, events.NodeEvent):
                root = self._node(event, 0)
        return root or _Node(1, None)

    def _parsed(self, text: str) -> Iterator[events.Event]:
        """Yield events; whatever the library raises is one line."""
        if len(text) > MAX_CHARACTERS:
            self._refuse(f"expected at most {MAX_CHARACTERS} characters, got {len(text)}")
        self._bound_brackets(text)
        try:
            for number, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
                self._line = event.start_mark.line + 1
                if number > 2 * MAX_VALUES:
                    self._refuse(f"expected at most {MAX_VALUES} values")
                yield event
        except BadInput:
            raise
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._line = mark.line + 1 if mark is not None else self._line
            self._refuse(f"not valid YAML: {_short(error.problem or error.context)}")
        except Exception as error:  # the library has errors of every kind for odd input
            self._refuse(f"not valid YAML: {_short(error) or type(error).__name__}")

    def _bound_brackets(self, text: str) -> None:
        found = [(match.start(), _BRACKETS[match[0]]) for match in re.finditer(r"[\[\]{}]", text)]
        for (at, _), depth in zip(found, accumulate(step for _, step in found), strict=True):
            if depth > _MAX_BRACKETS:
                self._line = text.count("\n", 0, at) + 1
                self._refuse("nested too deep")

    def _node(self, event: events.NodeEvent, depth: int) -> _Node:
        line, anchor = event.start_mark.line + 1, event.anchor
        if isinstance(event, events.AliasEvent):
            found = self._anchors.get(anchor)
            if found is None:
                what = "its own part" if anchor in self._anchors else "an unknown anchor"
                self._refuse(f"expected an alias of an anchor above it, got {what} {anchor!r}")
            return found
        if anchor in self._anchors:
            self._refuse(f"expected each anchor once, got {anchor!r} again")
        if depth > MAX_DEPTH:
            self._refuse("nested too deep")
        if anchor is not None:
            self._anchors[anchor] = None
        node = _Node(line, None)
        if isinstance(event, events.MappingStartEvent):
            self._must_be(("map",), event.tag)
            node.value = self._mapping(depth)
        elif isinstance(event, events.SequenceStartEvent):
            self._must_be(("seq",), event.tag)
            node.value = self._sequence(depth)
        elif isinstance(event, events.ScalarEvent):
            self._must_be(_SCALARS, event.tag)
            node.value = self._scalar(event)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _must_be(self, kinds: tuple[str, ...], tag: str | None) -> None:
        if tag not in (None, "!", *(f"{_CORE}{kind}" for kind in kinds)):
            self._refuse(f"expected a plain value, got the tag {_short(tag)}")

    def _next(self) -> Any:
        return next(self._events)

    def _sequence(self, depth: int) -> list[_Node]:
        items = []
        while not isinstance(event := self._next(), events.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, tuple[int, _Node]]:
        own: dict[str, tuple[int, _Node]] = {}
        merged: dict[str, tuple[int, _Node]] = {}
        while not isinstance(event := self._next(), events.MappingEndEvent):
            merges = (
                isinstance(event, events.ScalarEvent) and not event.style and event.value == _MERGE
            )
            key, line = self._node(event, depth + 1).value, self._line
            if not isinstance(key, str):
                got = "a mapping or a list" if isinstance(key, dict | list) else repr(key)
                self._refuse(f"expected a key that is text, got {got}")
            if key in own:
                self._refuse(f'not valid YAML: found duplicate key "{_short(key)}"')
            value = self._node(self._next(), depth + 1)
            if merges:
                for one in value.value if isinstance(value.value, list) else [value]:
                    if not isinstance(one.value, dict):
                        self._refuse(f"expected a mapping for the key {_MERGE}")
                    merged = {**one.value, **merged}
            else:
                own[key] = (line, value)
        return {**merged, **own}

    def _scalar(self, event: events.ScalarEvent) -> bool | int | float | str | None:
        text, tag = event.value, event.tag
        if _NO_TEXT.search(text):
            self._refuse("expected text, got half a surrogate pair")
        if tag is None:
            kind = _kind_of(text) if event.implicit[0] else "str"
        else:
            kind = "str" if tag == "!" else tag.removeprefix(_CORE)
        try:
            return _value(text, kind)
        except ValueError:
            self._refuse(f"expected a value of the type {kind}, got {_short(repr(text))}")

    def _refuse(self, what: str) -> NoReturn:
        raise BadInput(f"{self._source}:{self._line}: {what}")


def _kind_of(text: str) -> str:
    """Return the type of a plain scalar."""
    kinds = {"null": _NULL, "bool": _BOOL, "int": _INT, "float": _FLOAT}
    return next((kind for kind, form in kinds.items() if form.fullmatch(text)), "str")


def _value(text: str, kind: str) -> bool | int | float | str | None:
    """Return a scalar as a value of its type; ValueError where it is none."""
    if kind == "str":
        return text
    if kind == "null" and _NULL.fullmatch(text):
        return None
    if kind == "bool" and (match := _BOOL.fullmatch(text)):
        return match[1] is not None
    digits = text.replace("_", "")
    if kind == "int" and _INT.fullmatch(text):
        return int(digits, {"0o": 8, "0x": 16, "0b": 2}.get(digits[:2], 10))
    if kind == "float" and _FLOAT.fullmatch(text):
        number = re.sub(r"\.(?=[inIN])", "", digits)  # Python writes .inf without the point
        return WrittenFloat(number, text)
    raise ValueError(kind)


def _short(what: object) -> str:
    """Return what the library says, as one short line."""
    return " ".join(f"{what}".split())[:120]
