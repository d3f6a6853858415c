"""Debian's Prometheus as a child process of this command, and its configuration."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from crunchbed.backends.common import targets
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError

CONFIG: Final = "prometheus.yml"
DATA: Final = "data"
INTERVAL_SECONDS: Final = 1
JOB: Final = "crunchbed"
_RULES = "dashboards/prometheus/rules.yml"
_KEPT_FOR = "100y"  # by default samples older than 15 days are deleted, those of a replayed run too
_TRIES = 3
_START_SECONDS = 20.0
_END_SECONDS = 20.0
_ANSWER_SECONDS = 5.0


def rules_file() -> Path | None:
    """Return the file of recording and alerting rules; None where it was not installed."""
    path = Path(__file__).resolve().parents[2] / _RULES
    return path if path.exists() else None


def scraping_config(owner: int, directory: Path = targets.DIRECTORY) -> str:
    """Return a configuration that scrapes only the runs which process ``owner`` executes.

    It is JSON, which is YAML too, so that no path can break it.
    """
    rules = rules_file()
    job = {
        "job_name": JOB,
        # run_info has the policy that is in force, its target the one of the start.
        "honor_labels": True,
        "file_sd_configs": [{"files": [str(directory / "*.json")], "refresh_interval": "2s"}],
        "relabel_configs": [
            {"source_labels": [targets.OWNER], "regex": str(owner), "action": "keep"}
        ],
    }
    return _written([job], [] if rules is None else [str(rules)])


def empty_config() -> str:
    """Return a configuration without targets, for data that are there already."""
    return _written([], [])


def _written(jobs: list[dict[str, Any]], rules: list[str]) -> str:
    times = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    config = {
        "global": dict.fromkeys(times, f"{INTERVAL_SECONDS}s"),
        "rule_files": rules,
        "scrape_configs": jobs,
    }
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode() + "\n"


class Prometheus:
    """A Prometheus on a free port of the loopback interface.

    Configuration, data and log are in ``directory``. ``pump`` is called until Prometheus is ready,
    and may raise. CrunchbedError: it does not get ready.
    """

    def __init__(
        self, directory: Path, config: str, pump: Callable[[], object] | None = None
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / CONFIG).write_text(config)
        for tries_left in reversed(range(_TRIES)):
            self.port = _free_port()
            self._process = self._spawn()
            try:
                wait_until(self._ready, _START_SECONDS, "Prometheus is ready", pump=pump)
                return
            except CrunchbedError:
                self.close()
                if not tries_left:
                    raise
            except BaseException:
                self.close()
                raise

    @property
    def url(self) -> str:
        """Address of its web page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Id of its process."""
        return self._process.pid

    def _spawn(self) -> Process:
        return spawn(
            command(self.directory, f"127.0.0.1:{self.port}"),
            name="prometheus",
            log=self.directory / "log",
            netns_pid=None,
            cgroup=None,
        )

    def require_alive(self) -> None:
        """Raise CrunchbedError, with the last lines of the log, where Prometheus has ended."""
        if self._process.poll() is not None:
            raise CrunchbedError(f"Prometheus ended: {self._process.last_words()}")

    def _ready(self) -> bool:
        self.require_alive()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self._get("/-/ready")[0] == http.client.OK
        return False

    def query(self, expression: str, at: float | None = None) -> list[dict[str, object]]:
        """Return the value of a PromQL vector ``at`` a time, in seconds since 1970, or now.

        CrunchbedError: Prometheus does not answer, or refuses the expression.
        """
        fields = {"query": expression, "time": f"{time.time() if at is None else at:.3f}"}
        try:
            _, body = self._get(f"/api/v1/query?{urlencode(fields)}")
            answer = orjson.loads(body)
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            raise CrunchbedError(f"Prometheus does not answer: {error!r}") from error
        if answer["status"] != "success":
            raise CrunchbedError(f"Prometheus: {expression}: {answer['error']}")
        found: list[dict[str, object]] = answer["data"]["result"]
        return found

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        """End Prometheus, so that all of its data are on disk."""
        self._process.terminate(_END_SECONDS)


def command(directory: Path, address: str) -> list[str]:
    """Return the command that starts a Prometheus on the files in ``directory``."""
    return [
        "prometheus",
        f"--config.file={directory / CONFIG}",
        f"--storage.tsdb.path={directory / DATA}",
        f"--storage.tsdb.retention.time={_KEPT_FOR}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
