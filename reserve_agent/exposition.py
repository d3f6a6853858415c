"""Values of metrics, their text for Prometheus, and the server that hands it out.

The text is what prometheus_client would write: a test compares. It is written here because
thirty-two agents are scraped every second on the machine that they measure, and the library takes
2.2 ms of a processor for one scrape of one of them (``make bench`` has the figures): a family that
has not changed keeps its text.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import accumulate
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from reserve_agent.metrics import PREFIX, Definition

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_IDLE_SECONDS = 60.0
_LONGEST_LINE = 1 << 14
_MOST_HEADERS = 100
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
Labels = tuple[str, ...]
Rows = Iterable[tuple[Labels, float]]


class Sample(NamedTuple):
    """One line of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family:
    """One metric with the values of all its series, which all have the labels ``fixed``.

    ``read`` returns all series at each scrape, for a metric that is counted elsewhere.
    """

    def __init__(
        self,
        definition: Definition,
        fixed: Mapping[str, str],
        read: Callable[[], Rows] | None = None,
    ) -> None:
        self.definition = definition
        self._fixed = dict(fixed)
        self._names = definition.labels if fixed else ("node", *definition.labels)
        self._read = read
        self._values: dict[Labels, float] = {}
        self._counts: dict[Labels, list[int]] = {}
        self._lines: dict[Labels, list[str]] = {}
        self._version = 0
        self._kept = (-1, "")

    def add(self, *labels: str, by: float = 1) -> None:
        """Count; 0 makes a series appear."""
        self._values[labels] = self._values.get(labels, 0) + by
        self._version += 1

    def set(self, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._values[labels] = value
        self._version += 1

    def only(self, *labels: str) -> None:
        """Set this series to 1 and remove all others."""
        self._values = {labels: 1}
        self._version += 1

    def observe(self, value: float, *labels: str) -> None:
        """Add to a histogram."""
        self._buckets(labels)[bisect_left(self.definition.buckets, value)] += 1
        self._values[labels] = self._values.get(labels, 0.0) + value
        self._version += 1

    def open(self, *labels: str) -> None:
        """Make a histogram's series appear."""
        self._buckets(labels)
        self._values.setdefault(labels, 0.0)
        self._version += 1

    def _buckets(self, labels: Labels) -> list[int]:
        # Made before the series itself: a scrape looks for the counts of every series.
        return self._counts.setdefault(labels, [0] * (len(self.definition.buckets) + 1))

    def samples(self) -> Iterator[Sample]:
        """Every line of the metric, now."""
        for labels, value in self._rows():
            named = dict(zip(self._names, labels, strict=True)) | self._fixed
            values = self._series_values(labels, value)
            for (suffix, more), each in zip(self._parts(), values, strict=True):
                yield Sample(f"{PREFIX}{self.definition.name}{suffix}", named | more, each)

    def text(self) -> str:
        """Every line of the metric as Prometheus reads it, with its help and type."""
        # Read before the values: a value that changes meanwhile is written the next time.
        version = self._version
        if self._read is None and self._kept[0] == version:
            return self._kept[1]
        name = self.definition.full_name
        kind = "gauge" if self.definition.kind == "info" else self.definition.kind
        lines = [f"# HELP {name} {self.definition.text}\n# TYPE {name} {kind}\n"]
        rows = self._rows()
        if self.definition.kind == "histogram":
            for labels, value in rows:
                values = self._series_values(labels, value)
                pairs = zip(self._starts(labels), values, strict=True)
                lines += [f"{line}{each!r}\n" for line, each in pairs]
        else:
            starts = self._lines
            lines += [
                f"{(starts.get(labels) or self._starts(labels))[0]}{float(value)!r}\n"
                for labels, value in rows
            ]
        self._kept = (version, "".join(lines))
        return self._kept[1]

    def _rows(self) -> list[tuple[Labels, float]]:
        # A copy, made in one step: events arrive in another thread.
        return list(self._values.items()) if self._read is None else list(self._read())

    def _series_values(self, labels: Labels, value: float) -> list[float]:
        if self.definition.kind != "histogram":
            return [float(value)]
        counts = [float(count) for count in accumulate(list(self._counts[labels]))]
        return [*counts, counts[-1], float(value)]

    def _parts(self) -> list[tuple[str, dict[str, str]]]:
        """Suffix and own labels of each line of a series."""
        if self.definition.kind != "histogram":
            return [(self.definition.full_name.removeprefix(PREFIX + self.definition.name), {})]
        bounds = [*(repr(float(bound)) for bound in self.definition.buckets), "+Inf"]
        return [*(("_bucket", {"le": bound}) for bound in bounds), ("_count", {}), ("_sum", {})]

    def _starts(self, labels: Labels) -> list[str]:
        """Every line of a series up to its value."""
        known = self._lines.get(labels)
        if known is None:
            named = dict(zip(self._names, labels, strict=True)) | self._fixed
            known = [
                f"{PREFIX}{self.definition.name}{suffix}{{{written(named | more)}}} "
                for suffix, more in self._parts()
            ]
            self._lines[labels] = known
        return known


def written(labels: Mapping[str, str]) -> str:
    """Labels as they stand between the braces."""
    return ",".join(f'{name}="{labels[name].translate(_ESCAPES)}"' for name in sorted(labels))


class Families:
    """The families of one exporter, which a registry of prometheus_client takes as well."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._of = {family.definition.name: family for family in families}

    def samples(self) -> Iterator[Sample]:
        """Every line of a scrape, now."""
        for family in self._of.values():
            yield from family.samples()

    def text(self) -> str:
        """A scrape, as the text that Prometheus reads."""
        return "".join(family.text() for family in self._of.values())

    def took(self, seconds: float) -> None:
        """Note how long an answer took to make."""

    def serve(self, port: int = 0) -> int:
        """Serve the metrics on the loopback interface, from a thread; returns the port.

        It is ``port`` if that is free, so that scrapers find a successor; 0 stands for any.
        """
        handler = type("Handler", (_Handler,), {"families": self})
        try:
            server = _Server(("127.0.0.1", port), handler)
        except OSError:
            if port == 0:
                raise
            return self.serve()
        Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return int(server.server_address[1])

    def collect(self) -> Iterator[Metric]:
        """Return every family as a registry of prometheus_client asks for it."""
        from prometheus_client import Metric  # 50 ms that an agent's start does without

        for family in self._of.values():
            definition = family.definition
            made = Metric(PREFIX + definition.name, definition.text, definition.kind)
            for sample in family.samples():
                made.add_sample(sample.name, dict(sample.labels), sample.value)
            yield made


class _Server(ThreadingTCPServer):
    allow_reuse_address = True  # of an agent that was killed a moment ago
    daemon_threads = True


class _Handler(StreamRequestHandler):
    """Answers GET /metrics, any number of times on one connection.

    ``http.server`` is not used: it takes longer to read six headers than a whole scrape takes here.
    """

    timeout = _IDLE_SECONDS
    families: Families

    def handle(self) -> None:
        """Serve one connection, until it is closed or idle for too long."""
        with contextlib.suppress(OSError):
            while (request := self.rfile.readline(_LONGEST_LINE)) and self._answer(request):
                pass

    def _answer(self, request: bytes) -> bool:
        """Answer one request; returns whether the connection may bring another."""
        began = time.perf_counter()
        method, _, rest = request.rstrip(b"\r\n").partition(b" ")
        path, _, version = rest.partition(b" ")
        goes_on = self._skip_headers() and version == b"HTTP/1.1"
        if method != b"GET" or not version.startswith(b"HTTP/1."):
            self._send(HTTPStatus.BAD_REQUEST, "only GET\n")
            return False
        if path.partition(b"?")[0] != b"/metrics":
            self._send(HTTPStatus.NOT_FOUND, "see /metrics\n")
            return goes_on
        self._send(HTTPStatus.OK, self.families.text())
        self.families.took(time.perf_counter() - began)
        return goes_on

    def _skip_headers(self) -> bool:
        """Read past the headers; returns whether the connection stays open after the answer."""
        goes_on = True
        for _ in range(_MOST_HEADERS):
            line = self.rfile.readline(_LONGEST_LINE)
            if line in (b"\r\n", b"\n", b""):
                return goes_on and line != b""
            goes_on = goes_on and line.lower().split() != [b"connection:", b"close"]
        return False

    def _send(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        # In one call: of two segments the second would wait for an acknowledgement.
        self.wfile.write(head.encode() + body)
