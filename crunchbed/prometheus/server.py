"""Debian's Prometheus as a child process of this command."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import orjson

from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError

CONFIG: Final = "prometheus.yml"
DATA: Final = "data"
_KEPT_FOR = "100y"  # by default samples older than 15 days are deleted, those of a replayed run too
_TRIES = 3
_START_SECONDS = 20.0
_END_SECONDS = 20.0
_ANSWER_SECONDS = 5.0


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
