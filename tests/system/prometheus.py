"""A Prometheus of the tests' own, on a free port of the loopback interface."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
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
    """Scrapes what the files in ``targets`` name, every half second, into ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.targets = directory / "targets"
        self.targets.mkdir(parents=True)
        config = directory / "prometheus.yml"
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "500ms"},
                    "scrape_configs": [
                        {
                            "job_name": "crunchbed",
                            "honor_labels": True,
                            "scrape_timeout": "500ms",
                            "file_sd_configs": [
                                {
                                    "files": [f"{self.targets}/*.json"],
                                    "refresh_interval": "200ms",
                                }
                            ],
                        }
                    ],
                }
            )
        )
        self.address = f"127.0.0.1:{free_port()}"
        self._log = (directory / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                f"--web.listen-address={self.address}",
            ],
            stderr=self._log,
        )
        wait_until(self._ready, 30, "Prometheus answers")

    def _ready(self) -> bool:
        assert self._process.poll() is None
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def follow(self, name: str, ports: list[int], labels: Mapping[str, str]) -> None:
        """Scrape these ports from now on, and give what they say these labels."""
        targets = [{"targets": [f"127.0.0.1:{port}" for port in ports], "labels": dict(labels)}]
        partial = self.targets / f"{name}.part"
        partial.write_text(json.dumps(targets))
        partial.rename(self.targets / f"{name}.json")

    def forget(self, name: str) -> None:
        """Scrape them no more."""
        (self.targets / f"{name}.json").unlink()

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
        return list(self._ask("query_range", query=expr, start=start, end=end, step=step)["result"])
