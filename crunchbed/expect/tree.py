"""An expectation as a tree of numbers, names and operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A constant: durations are in seconds, sizes in pages.

    ``unit`` is ``s`` or ``pages``, or None where none was given.
    """

    value: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A figure of one policy's run; of every policy's where ``policy`` is None.

    ``figure`` has the phase in front, if one is named: ``after.io_p99_seconds``. Without a
    ``node`` it is that of all nodes.
    """

    policy: str | None
    figure: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """``left`` and ``right`` joined by one of ``+ - * /``."""

    left: Node
    operator: str
    right: Node


Node = Number | Name | Operation


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two trees that are compared."""

    left: Node
    operator: str
    right: Node

    def names(self) -> Iterator[Name]:
        """Yield every name, left to right."""
        yield from _names(self.left)
        yield from _names(self.right)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Comparisons of which one is to hold, with the text they were read from."""

    text: str
    either: tuple[Comparison, ...]

    def names(self) -> Iterator[Name]:
        """Yield every name, left to right."""
        for one in self.either:
            yield from one.names()

    @property
    def policies(self) -> frozenset[str]:
        """The policies it names; it can be judged only where all of them were run."""
        return frozenset(name.policy for name in self.names() if name.policy is not None)

    @property
    def unqualified(self) -> bool:
        """Whether it holds a name without a policy, and so must hold for every policy run."""
        return any(name.policy is None for name in self.names())


def _names(node: Node) -> Iterator[Name]:
    if isinstance(node, Name):
        yield node
    elif isinstance(node, Operation):
        yield from _names(node.left)
        yield from _names(node.right)
