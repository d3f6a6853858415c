"""Dask's workers on this machine: processes that use the loopback interface only."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import dask.config
from distributed import Client, LocalCluster


@contextlib.contextmanager
def local_client(workers: int, scratch: Path) -> Iterator[Client]:
    """Start ``workers`` processes of one thread each; what they write is in ``scratch``."""
    with (
        quiet(),
        dask.config.set({"temporary-directory": str(scratch)}),  # the scheduler's, too
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
            # Else the scheduler listens on port 8787 of all interfaces, or warns that another does.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=0,
            local_directory=str(scratch),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Dask, which reports the ends of its own processes as warnings."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
