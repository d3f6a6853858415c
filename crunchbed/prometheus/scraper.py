"""The Prometheus that records the runs of one command, and how runs wait for it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from crunchbed.backends.common import targets
from crunchbed.prometheus.server import Prometheus, command, scraping_config
from reserve_agent.errors import CrunchbedError, RunInvalid

SEEN_SECONDS = 20.0  # until a run is scraped; Prometheus takes up to 10 s to see a new target
_ASK_SECONDS = 0.25


class Scraper:
    """Context manager over the Prometheus of one command, which starts with the first run.

    Its files are in ``directory``, by default ``prometheus`` in the first run's. ``say`` gets lines
    to print: where Prometheus is.
    """

    def __init__(self, directory: Path | None, say: Callable[[str], object]) -> None:
        self._directory = directory
        self._say = say
        self._asked = 0.0
        self._trouble: CrunchbedError | None = None
        self.server: Prometheus | None = None

    def __enter__(self) -> Scraper:
        return self

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            self.server.close()
            again = shlex.join(command(self.server.directory, "127.0.0.1:9090"))
            self._say(f"prometheus: ended; to look at its data: {again}")

    def begin(self, run_directory: Path, pump: Callable[[], object]) -> None:
        """Start Prometheus, unless it runs already; ``pump`` is called while that takes time."""
        if self.server is None:
            targets.make_directory()
            directory = (self._directory or run_directory / "prometheus").absolute()
            self.server = Prometheus(directory, scraping_config(os.getpid()), pump)
            self._say(f"prometheus: {self.server.url}")

    def await_run(
        self,
        run_id: str,
        nodes: int,
        wait_until: Callable[[Callable[[], bool], float], bool],
        since: float = 0.0,
    ) -> None:
        """Wait until Prometheus has scraped all nodes after ``since``, seconds since 1970.

        ``wait_until`` keeps the run going until a condition holds, for so many seconds at most, and
        returns whether it holds. RunInvalid: a node was not scraped in time. CrunchbedError:
        Prometheus has ended.
        """
        self._trouble = None
        if not wait_until(lambda: self._has_scraped(run_id, nodes, since), SEEN_SECONDS):
            text = f"Prometheus did not scrape all {nodes} nodes in {SEEN_SECONDS:g} s"
            raise RunInvalid(text if self._trouble is None else f"{text}: {self._trouble}")

    def _has_scraped(self, run_id: str, nodes: int, since: float) -> bool:
        """Whether all nodes were scraped; asks Prometheus four times a second at most.

        On a busy machine an answer may not come in time: then the next call asks again.
        """
        now = time.monotonic()
        if self.server is None or now - self._asked < _ASK_SECONDS:
            return False
        self._asked = now
        seen = f'count(timestamp(crunchbed_run_info{{run="{run_id}"}}) >= {since:.3f})'
        try:
            found = self.server.query(seen)
        except CrunchbedError as error:
            self.server.require_alive()
            self._trouble = error
            return False
        self._trouble = None
        return bool(found) and _value(found[0]) >= nodes


def _value(row: dict[str, object]) -> float:
    pair = row["value"]
    return float(pair[1]) if isinstance(pair, list) else 0.0
