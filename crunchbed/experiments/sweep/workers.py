"""Dask workers: processes of this machine, or the workers of a Dask scheduler elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import CancelledError, Client, Future, wait

from crunchbed.experiments.sweep.local_cluster import local_client, quiet
from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.run_process import make
from crunchbed.experiments.sweep.space import Trial
from reserve_agent.errors import CrunchbedError, MissingRequirement, RunInvalid

_CONNECT_SECONDS = 10


class Pool:
    """Runs trials on workers, ``size`` at once; local ones work in the directory ``scratch``."""

    def __init__(self, client: Client, size: int, scratch: Path | None = None) -> None:
        self._client = client
        self._scratch = None if scratch is None else str(scratch)
        self.size = size

    def submit(self, trial: Trial) -> Future[Made]:
        """Start a trial; Dask does not start it again where its worker dies."""
        future: Future[Made] = self._client.submit(
            make, trial.scenario, trial.seed, self._scratch, pure=False, retries=0, key=None
        )
        return future

    @staticmethod
    def first_done(futures: list[Future[Made]], seconds: float) -> list[Future[Made]]:
        """Return those that are done, as soon as one is; none after so many seconds.

        RunInvalid: the Dask scheduler is gone, and the runs with it.
        """
        try:
            return list(wait(futures, timeout=seconds, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []
        except CancelledError:
            raise RunInvalid(
                "the Dask scheduler is gone; what is finished is kept: "
                "`crunchbed sweep --resume` goes on with it"
            ) from None

    @staticmethod
    def made(future: Future[Made]) -> Made:
        """Return what came of a trial that is done, also where its worker died."""
        try:
            found: Made = future.result()
        except Exception as error:  # Dask raises many kinds where a worker has ended
            return Made(b"", 3, f"its worker failed: {type(error).__name__}: {error}")
        return found


@contextlib.contextmanager
def local(workers: int, scratch: Path) -> Iterator[Pool]:
    """Start processes that use the loopback interface only; MissingRequirement without root."""
    if os.geteuid() != 0:
        raise MissingRequirement("runs need root: sudo crunchbed sweep ...")
    with local_client(workers, scratch) as client:
        yield Pool(client, workers, scratch)


@contextlib.contextmanager
def connected(address: str) -> Iterator[Pool]:
    """Connect to a Dask scheduler with root's workers; CrunchbedError where there are none."""
    with quiet():
        try:
            client = Client(address, timeout=_CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise CrunchbedError(f"--scheduler {address}: no scheduler answers: {error}") from error
        with client:
            threads: dict[str, Any] = client.nthreads()
            if not threads:
                raise CrunchbedError(
                    f"--scheduler {address}: no workers; start one on each machine, as root: "
                    f"`dask worker {address} --nthreads 1`"
                )
            yield Pool(client, sum(threads.values()))
