"""Dask workers: of this machine, or those of a scheduler somewhere else."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import CancelledError, Client, Future, LocalCluster, wait

from crunchbed.experiments.sweep.run_process import Made, make
from crunchbed.experiments.sweep.trial import Trial
from reserve_agent.errors import CrunchbedError, MissingRequirement, RunInvalid

_CONNECT_SECONDS = 10


class Pool:
    """Runs trials on workers, as many at once as it is given.

    Attributes:
        size: How many it can carry at once.
        remote: Whether the workers are somebody else's.
    """

    def __init__(self, client: Client, size: int, *, remote: bool) -> None:
        self._client = client
        self.size = size
        self.remote = remote

    def submit(self, trial: Trial) -> Future[Made]:
        """Start one; a worker that dies in it is no reason to try again by itself."""
        future: Future[Made] = self._client.submit(
            make, trial.scenario, trial.seed, pure=False, retries=0, key=None
        )
        return future

    @staticmethod
    def first_done(futures: list[Future[Made]], seconds: float) -> list[Future[Made]]:
        """Those that are done, as soon as one is; none when time is up.

        Raises:
            RunInvalid: The scheduler is gone, and with it whatever ran.
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
        """What came of one that is done; a worker that died is told as words."""
        try:
            found: Made = future.result()
        except Exception as error:  # whatever Dask makes of a worker's end
            return Made(b"", 3, f"its worker failed: {type(error).__name__}: {error}")
        return found


@contextlib.contextmanager
def local(workers: int, scratch: Path) -> Iterator[Pool]:
    """``workers`` processes on this machine, on the loopback interface alone.

    Raises:
        MissingRequirement: Runs need root.
    """
    if os.geteuid() != 0:
        raise MissingRequirement("runs need root: sudo crunchbed sweep ...")
    with (
        _quiet(),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
            memory_limit=0,
            local_directory=str(scratch),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield Pool(client, workers, remote=False)


@contextlib.contextmanager
def connected(address: str) -> Iterator[Pool]:
    """The workers of a Dask scheduler, each as root and with crunchbed installed.

    Raises:
        CrunchbedError: Nobody answers, or it has no workers.
    """
    with _quiet():
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
            yield Pool(client, sum(threads.values()), remote=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask reports the ends of its own processes as warnings."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
