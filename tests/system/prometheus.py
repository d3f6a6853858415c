"""A Prometheus on the data that another one has recorded."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from nodes.waiting import wait_until

Series = dict[str, Any]
"""Labels under ``metric``; samples under ``values``, or one under ``value``."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Prometheus:
    """Answers questions about what is in ``data``; scrapes nothing, and keeps its log beside it."""

    def __init__(self, data: Path) -> None:
        config = data.parent / "asked.yml"
        config.write_text("{}\n")
        self.address = f"127.0.0.1:{free_port()}"
        self._log = (data.parent / "asked.log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                f"--web.listen-address={self.address}",
            ],
            stderr=self._log,
        )
        try:
            wait_until(self._ready, 30, "Prometheus answers")
        except BaseException:
            self.close()
            raise

    def _ready(self) -> bool:
        assert self._process.poll() is None, "Prometheus ended"
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def _ask(self, path: str, **parameters: str | float) -> Any:
        data = urllib.parse.urlencode(parameters).encode()
        request = urllib.request.Request(f"http://{self.address}/api/v1/{path}", data=data)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.loads(error.read())["error"]) from error

    def instant(self, expr: str, at: float) -> list[Series]:
        """Evaluate at one moment, in seconds since 1970."""
        return list(self._ask("query", query=expr, time=at)["result"])

    def range(self, expr: str, start: float, end: float, step: float = 1) -> list[Series]:
        """Evaluate every ``step`` seconds."""
        asked = {"query": expr, "start": start, "end": end, "step": step}
        return list(self._ask("query_range", **asked)["result"])
