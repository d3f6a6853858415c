"""Who makes the runs of a search: this process, or Dask's workers on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

from crunchbed.experiments.search.trial import Tried, attempt
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import CrunchbedError, RunInvalid


class Pool(Protocol):
    """Makes runs."""

    def submit(self, scenario: Scenario, seed: int) -> Any:
        """Have a run made; return a handle of it."""

    def tried(self, handle: Any) -> Tried:
        """Return what came of a run, once it is over."""


class Here:
    """Makes each run when it is asked for, in this process."""

    def submit(self, scenario: Scenario, seed: int) -> tuple[Scenario, int]:
        """Return what is to be run."""
        return scenario, seed

    def tried(self, handle: tuple[Scenario, int]) -> Tried:
        """Make the run."""
        return attempt(*handle)


class Workers:
    """Makes runs on Dask's workers."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, scenario: Scenario, seed: int) -> Any:
        """Send a run to a worker."""
        return self._client.submit(attempt, scenario, seed, pure=False)

    def tried(self, handle: Any) -> Tried:
        """Wait for a worker; RunInvalid where it has ended."""
        try:
            found: Tried = handle.result()
        except CrunchbedError:
            raise
        except Exception as error:  # Dask raises many kinds where a worker has ended
            raise RunInvalid(f"a worker failed: {type(error).__name__}: {error}") from error
        return found


@contextlib.contextmanager
def pool_of(workers: int | None) -> Iterator[Pool]:
    """Yield who makes runs: as many at once as ``workers``, or as there are processors."""
    count = workers or os.cpu_count() or 1
    if count == 1:
        yield Here()
        return
    # Dask takes a second, and its scratch directory knows its owner as Linux does.
    from crunchbed.experiments.sweep.local_cluster import local_client
    from crunchbed.host.scratch import scratch

    with scratch("search") as place, local_client(count, place) as client:
        yield Workers(client)
