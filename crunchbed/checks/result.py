"""The result of a run, as in ``result.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from crunchbed.checks.figures import Figures
from crunchbed.expect import Outcome
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput
from reserve_agent.files import write_bytes

Verdict = Literal["pass", "fail", "invalid", "unknown"]

EXIT_CODES: dict[Verdict, int] = {"pass": 0, "fail": 1, "invalid": 3, "unknown": 3}


class Result(BaseModel):
    """What a run measured and what follows from it.

    Attributes:
        scenario, policy, flags, seed, backend: What was run: name of the scenario, policy, classes
            whose sockets are memalloc, seed, what the nodes are made of (``cluster.backend``).
        switch: Kind of switch; ``unknown``: no switch came up. Results of before this field have
            the kind of switch as ``backend``, and are read as if they had both.
        kernel, nic: Release of the kernel whose memory ran out, and the network card, of nodes that
            are machines; None: the nodes are no machines, or never booted. ``versions`` has the
            release of the host's kernel as ``kernel``.
        verdict: What the run says of the claim, and
        reasons: why it is not ``pass``.
        totals: Figures of all nodes.
        nodes: The same figures of each node, by its name.
        expectations: Those that this run alone decides.
        duration_seconds: From the first event to the last.
        reserve_users: Pages of 4 KiB that each socket got from the reserve, by node.
        crunch_requested, crunch_achieved: What was asked for, and what came of it.
        versions: Of everything that may matter, by name.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    scenario: str
    policy: str
    flags: tuple[str, ...]
    seed: int | None
    backend: str
    switch: str
    kernel: str | None = None
    nic: str | None = None
    verdict: Verdict
    reasons: tuple[str, ...]
    totals: Figures
    nodes: dict[str, Figures]
    expectations: tuple[Outcome, ...]
    duration_seconds: float
    reserve_users: dict[str, dict[str, int]] = {}
    crunch_requested: dict[str, Any] | None
    crunch_achieved: dict[str, Any] | None
    versions: dict[str, str]

    @model_validator(mode="before")
    @classmethod
    def _of_before_switch(cls, data: Any) -> Any:
        """Tell the backend of an older result by its card, which only machines have."""
        if not isinstance(data, dict) or "switch" in data or "backend" not in data:
            return data
        backend = "namespaces" if data.get("nic") is None else "machines"
        return {**data, "backend": backend, "switch": data["backend"]}

    @classmethod
    def not_measured(cls, scenario: Scenario, seed: int, reason: str) -> Result:
        """Return the result of a run that ended before it measured anything."""
        return cls(
            scenario=scenario.name,
            policy=scenario.policy,
            flags=scenario.memalloc,
            seed=seed,
            backend=scenario.cluster.backend,
            switch="unknown",
            kernel=scenario.modelled,
            nic=scenario.nic,
            verdict="invalid",
            reasons=(reason,),
            totals=Figures(),
            nodes={},
            expectations=(),
            duration_seconds=0.0,
            crunch_requested=None,
            crunch_achieved=None,
            versions={},
        )

    @classmethod
    def not_judged(cls, scenario: Scenario, seed: int | None, reasons: Iterable[str]) -> Result:
        """Return the result of a run whose history is lost, or makes no sense to a check."""
        changes = {"seed": seed, "verdict": "unknown", "reasons": tuple(reasons)}
        return cls.not_measured(scenario, 0, "").model_copy(update=changes)

    @property
    def exit_code(self) -> int:
        """0 holds, 1 an expectation failed, 3 the run is invalid or unknown."""
        return EXIT_CODES[self.verdict]

    @property
    def valid(self) -> bool:
        """Whether its figures say anything about the claim."""
        return self.verdict in ("pass", "fail")

    def write(self, path: Path) -> None:
        """Write ``result.json``; it appears whole or not at all."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        write_bytes(path, orjson.dumps(self.model_dump(mode="json"), option=options))

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read what ``write`` wrote.

        Raises:
            BadInput: it cannot be read or is no result.
        """
        try:
            return cls.model_validate(orjson.loads(path.read_bytes()))
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
        except (orjson.JSONDecodeError, ValidationError) as error:
            raise BadInput(f"{path}: expected a result: {str(error).splitlines()[0]}") from None


def measured(runs: Iterable[Result], figure: str) -> list[float]:
    """Return a figure of the totals of each valid run that measured it."""
    values = [run.totals.value(figure) for run in runs if run.valid]
    return [value for value in values if value is not None]
