"""A run on a terminal while it goes on: its phase, the time left, and a row for each node."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crunchbed.run.progress import Progress, ReadNodes
from crunchbed.run.world import NodeStatus
from crunchbed.scenario.schema import Scenario

LOOK_SECONDS: Final = 0.5  # between two readings of the nodes' state; longer for many nodes
_SECONDS_A_NODE: Final = 0.05
_BAR_WIDTH: Final = 30
_PAGES_A_MEBIBYTE: Final = 256
_REST: Final = 6  # lines of a terminal that are not rows of nodes


@dataclass(frozen=True)
class View:
    """What is drawn."""

    label: str  # scenario, policy and seed of the run
    phase: str
    spent: float  # seconds since the phase began
    limit: float | None  # seconds that the phase lasts at most; None where that is not known
    left: float | None  # seconds until collecting begins at the latest; None: not known
    nodes: Mapping[str, NodeStatus | None]  # as last read; None for a node without an agent
    rates: Mapping[str, float]  # acknowledged writes of each node, MiB/s


class LiveView(Progress):
    """Shows a run on a terminal: on ``console``, or one for ``stream``."""

    def __init__(
        self,
        stream: TextIO,
        label: str,
        scenario: Scenario,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        self._clock, self._label = clock, label
        self._console = console or Console(file=stream, highlight=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._limits = {
            name: getattr(scenario.phases, name) / 1e9 for name in ("control", "inject", "recovery")
        }
        self._began = self._phase_began = clock()
        self._phase: tuple[str, float | None] = ("start", None)
        self._read: ReadNodes | None = None
        self._looked = self._drawn = 0.0
        self._nodes: Mapping[str, NodeStatus | None] = {}
        self._rates: dict[str, float] = {}
        self._live.start()

    def watch(self, read: ReadNodes) -> None:
        """Read the nodes' state by this function from now on."""
        self._read = read

    def phase(self, name: str, seconds: float | None) -> None:
        """Show another phase, with its longest duration where that is known."""
        self._phase, self._phase_began = (name, seconds), self._clock()
        self._draw()

    def note(self, text: str) -> None:
        """Print a line above the view; the line stays."""
        elapsed = self._clock() - self._began
        line = f"{self._label} {elapsed:6.1f} s  {text}"
        self._console.print(escape(line), soft_wrap=True)

    def tick(self) -> None:
        """Read the nodes' state and draw, where enough time has passed."""
        now = self._clock()
        pause = max(LOOK_SECONDS, _SECONDS_A_NODE * len(self._nodes))
        if self._read is not None and now - self._looked >= pause:
            found = self._read()
            self._rates = _rates(self._nodes, found, now - self._looked)
            self._nodes, self._looked = found, now
        if now - self._drawn >= LOOK_SECONDS / 2:
            self._draw()

    def done(self) -> None:
        """Remove the view; notes stay."""
        self._live.stop()

    def _draw(self) -> None:
        self._drawn = self._clock()
        view = self._view(self._drawn)
        room = max(1, self._console.size.height - _REST)
        self._live.update(picture(view, room), refresh=True)

    def _view(self, now: float) -> View:
        name, limit = self._phase
        spent = now - self._phase_began
        left = None
        if name in self._limits and limit is not None:
            later = list(self._limits)[list(self._limits).index(name) + 1 :]
            left = max(0.0, self._limits[name] - spent) + sum(self._limits[one] for one in later)
        return View(self._label, name, spent, limit, left, self._nodes, self._rates)


def picture(view: View, room: int) -> RenderableType:
    """Return what is drawn: at most ``room`` nodes, first those that are down or under pressure."""
    head = Table.grid(padding=(0, 1))
    limit = "" if view.limit is None else f" of at most {view.limit:g} s"
    left = "" if view.left is None else f", {view.left:.0f} s to go at most"
    bar = ProgressBar(total=view.limit or 1, completed=min(view.spent, view.limit or 0))
    bar.width = _BAR_WIDTH
    words = Text(f"{view.phase}: {view.spent:.1f} s{limit}{left}")
    head.add_row(Text(view.label, style="bold"), bar if view.limit else Text(""), words)
    if not view.nodes:
        return head
    shown = sorted(view.nodes, key=lambda name: _calm(view.nodes[name]))[:room]
    rows = _table(view, [name for name in view.nodes if name in shown])
    hidden = len(view.nodes) - len(shown)
    return Group(head, rows, Text(f"and {hidden} more nodes")) if hidden else Group(head, rows)


def _calm(node: NodeStatus | None) -> tuple[bool, int]:
    """Sort key: nodes in trouble first, then by misses."""
    return (node is not None and node.up and not node.pressure, -(node.misses if node else 0))


def _table(view: View, names: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("node", "state", "free pages", "reserve", "missed", "MiB/s", "sees"):
        left = heading in ("node", "state")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for name in names:
        node = view.nodes[name]
        if node is None:
            table.add_row(name, Text("no agent", style="yellow"), *["-"] * 5)
            continue
        missed = Text(str(node.misses), style="red" if node.misses else "")
        pages = [f"{node.free_pages}", f"{node.reserve_pages}"]
        rate = f"{view.rates.get(name, 0.0):.2f}"
        table.add_row(name, _state(node), *pages, missed, rate, str(len(node.view)))
    return table


def _state(node: NodeStatus) -> Text:
    if not node.up:
        return Text("down", style="red")
    if node.pressure:
        return Text("PRESSURE", style="bold yellow")
    return Text("serves" if node.serving else "ok", style="green")


def _rates(
    before: Mapping[str, NodeStatus | None], now: Mapping[str, NodeStatus | None], seconds: float
) -> dict[str, float]:
    found = {}
    for name, node in now.items():
        earlier = before.get(name)
        if node is not None and earlier is not None and seconds > 0:
            pages = max(0, node.written_pages - earlier.written_pages)
            found[name] = pages / _PAGES_A_MEBIBYTE / seconds
    return found
