"""The crunches of a cluster that is held open: any number, one at a time on a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crunchbed.run.held.scenario import with_crunch
from crunchbed.run.inject import Injection
from crunchbed.run.plan import draw
from crunchbed.run.start import Running
from reserve_agent.errors import BadInput, CrunchbedError


class Crunches:
    """Begins crunches, and ends each when it has run its course.

    Args:
        run: What goes on.
        touch: Called before anything is done to the cluster.
    """

    def __init__(self, run: Running, touch: Callable[[], None]) -> None:
        self._run = run
        self._touch = touch
        self._on: dict[str, tuple[str, Injection]] = {}
        self._begun = 0

    def begin(self, target: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Begin a crunch; ``settings`` are keys of a scenario's ``crunch``.

        Returns what was requested, as in ``crunch_requested`` of a result.

        Raises:
            BadInput: The settings are wrong, or the node is down, in a crunch, or does not write.
            CrunchbedError: The node does not take it.
        """
        self._can_have(target, str(settings.get("kind")))
        plan = draw(with_crunch(self._run.scenario, target, settings), self._begun)
        if plan is None:
            raise CrunchbedError("no crunch was drawn")
        crunch = Injection(plan, self._run.world, self._run.recorder, self._run.loop)
        self._touch()
        crunch.begin()
        self._begun += 1
        self._on[target] = (plan.kind, crunch)
        return {"kind": plan.kind, "target": target, **plan.requested}

    def _can_have(self, target: str, kind: str) -> None:
        commands = self._run.world.commands
        if commands is not None and kind not in commands.crunch_kinds:
            kinds = ", ".join(commands.crunch_kinds)
            raise BadInput(f"crunch.kind: expected {kinds} on this backend, got {kind}")
        if target in self._on:
            raise BadInput(f"{target} is still in a {self._on[target][0]} crunch")
        if not self._run.world.nodes[target].up:
            raise BadInput(f"{target} is down")
        if kind == "writeback" and target not in self._run.scenario.writers:
            raise BadInput(f"{target} serves the block device and writes nothing; take another")
        if kind == "flood" and any(other == "flood" for other, _ in self._on.values()):
            raise BadInput("a flood is going on already; the storage host sends one at a time")

    def of(self, target: str) -> str | None:
        """Return the kind of the crunch that ``target`` is in, if it is in one."""
        return self._on[target][0] if target in self._on else None

    def move_on(self) -> None:
        """End the crunches that are over; to be called again and again."""
        for target in [name for name, (_, crunch) in self._on.items() if crunch.over()]:
            self._end(target)

    def end(self) -> None:
        """End every crunch, over or not."""
        for target in list(self._on):
            self._end(target)

    def _end(self, target: str) -> None:
        _, crunch = self._on.pop(target)
        crunch.undo()
