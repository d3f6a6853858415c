"""How a question of the run is answered, by whoever keeps a node's history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reserve_agent.contract.events.base import MalformedEvent
from reserve_agent.errors import BadInput, HookError
from reserve_agent.lines.framing import Message


def answer(operations: Mapping[str, Callable[..., Message]], of: Any, message: Message) -> Message:
    """Carry out one operation: ``op`` is its name, and the other keys are its fields.

    Args:
        operations: Every operation by its name on the wire.
        of: Whose operations they are; their first argument.
        message: The question.

    Returns:
        The reply; one with ``error`` says why not.
    """
    fields = dict(message)
    name = fields.pop("op", None)
    operation = operations.get(name) if isinstance(name, str) else None
    if operation is None:
        return {"error": f"unknown operation {name!r}"}
    try:
        return operation(of, **fields)
    except (BadInput, MalformedEvent) as error:
        return {"error": str(error)}
    except (KeyError, TypeError, ValueError, OSError, HookError) as error:
        return {"error": f"{name}: {error!r}"}
