"""Where a run happens: its id, its loop, and what is left of it at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.common.targets import Targets
from crunchbed.host import leaks
from crunchbed.host.run_ids import RunClaim
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.progress import Progress
from crunchbed.scenario.schema import Scenario
from topologies.switches import choose_switch

_BPFFS: Final = Path("/sys/fs/bpf")


class LiveSite:
    """Implements ``crunchbed.run.backend.Site`` for a run that has claimed its id, but ``start``.

    Attributes:
        pins: Where the run's BPF programs and maps are, if its backend has any.
    """

    def __init__(self, state: RunClaim, loop: SelectorLoop) -> None:
        self._state = state
        self.run_id = state.run_id
        self.loop = loop
        self.places = (state.path,)
        self.pins = _BPFFS / f"crunchbed-{state.run_id}"

    def record_directory(self, out: Path) -> None:
        """Say where the run writes, for ``crunchbed status`` and others."""
        self._state.record_directory(out)

    def _run(self, scenario: Scenario, out: Path) -> LiveRun:
        return LiveRun(
            scenario,
            self.run_id,
            self._state.path,
            self.pins,
            out,
            targets=Targets(self.run_id, scenario),
            started=self._state.add_process,
        )


@contextmanager
def claimed_id(scenario: Scenario, progress: Progress) -> Iterator[tuple[RunClaim, SelectorLoop]]:
    """Take an id and make a loop; the end says what is left of the run on this machine.

    Raises:
        MissingRequirement: There is no such switch here.
    """
    choose_switch(scenario.cluster.switch)  # type: ignore[arg-type]
    with ExitStack() as stack:
        state = stack.enter_context(RunClaim.claim())
        loop = SelectorLoop()
        stack.callback(loop.close)
        stack.callback(_tell_leaks, state.run_id, progress)
        yield state, loop


def _tell_leaks(run_id: str, progress: Progress) -> None:
    left = [leak.name for leak in leaks.find(run_id) if leak.kind != "state"]
    if left:
        progress.note(f"left behind: {', '.join(left)}; `crunchbed clean` removes that")
