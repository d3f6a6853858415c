"""Debian's Prometheus as a child of this command."""

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
_KEPT_FOR = "100y"  # by default what is older than 15 days is deleted, also of a replayed run
_TRIES = 3
_START_SECONDS = 20.0
_END_SECONDS = 20.0
_ANSWER_SECONDS = 5.0


class Prometheus:
    """A Prometheus on a free port of the loopback interface.

    Args:
        directory: Made for its configuration, its data and its log.
        config: Content of its configuration file.
        pump: Called while it is waited for; may raise.

    Raises:
        CrunchbedError: It does not come up.
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
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
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
        """Return if it has not ended.

        Raises:
            CrunchbedError: It has; says its last words.
        """
        if self._process.poll() is not None:
            raise CrunchbedError(f"Prometheus ended: {self._process.last_words()}")

    def _ready(self) -> bool:
        self.require_alive()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self._get("/-/ready")[0] == http.client.OK
        return False

    def query(self, expression: str, at: float | None = None) -> list[dict[str, object]]:
        """The vector that an expression is at a moment.

        Args:
            expression: PromQL.
            at: Seconds since 1970; now when left out.

        Raises:
            CrunchbedError: It does not answer, or refuses.
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
        """End it, so that everything it has is on disk."""
        self._process.terminate(_END_SECONDS)


def command(directory: Path, address: str) -> list[str]:
    """How a Prometheus is started on what is in ``directory``."""
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
