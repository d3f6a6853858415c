"""OpenMetrics text with timestamps: what ``promtool tsdb create-blocks-from openmetrics`` reads.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md wants a family's
lines in one piece, within it each metric's, and within that the points by time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from reserve_agent.exposition import Sample, written
from reserve_agent.metrics import METRICS, PREFIX, Definition

MILLISECOND: Final = 1_000_000  # ns; Prometheus knows no less between two points of a series
_SECOND: Final = 1_000_000_000
_SUFFIXES = ("_total", "_info", "_bucket", "_count", "_sum", "")
_DEFINITIONS = {PREFIX + one.name: one for one in METRICS.values()}


class Timeline:
    """Samples of one run in the order of time, which become text at the end.

    ``labels`` are the scrape target's, for every sample that has no such label itself.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._lines: dict[str, dict[str, list[str]]] = {}
        self._starts: dict[tuple[str, tuple[str, ...]], tuple[list[str], str]] = {}
        self.samples = 0

    def add(self, unix_ns: int, node: str, samples: Iterable[Sample]) -> None:
        """Add the samples that a scrape of one node at one time would have returned."""
        seconds, rest = divmod(unix_ns, _SECOND)
        moment = f"{seconds}.{rest // MILLISECOND:03}"
        for sample in samples:
            key = (sample.name, tuple(sample.labels.values()))
            known = self._starts.get(key)
            if known is None:
                known = self._starts[key] = self._place(node, sample)
            known[0].append(f"{known[1]}{sample.value!r} {moment}\n")
            self.samples += 1

    @property
    def series(self) -> int:
        """Number of series."""
        return len(self._starts)

    def _place(self, node: str, sample: Sample) -> tuple[list[str], str]:
        """The list that a series' lines go to, and the text that each line begins with."""
        labels = {**self._labels, "instance": node, **sample.labels}
        metric = written({name: value for name, value in labels.items() if name != "le"})
        family = PREFIX + definition_of(sample.name).name
        lines = self._lines.setdefault(family, {}).setdefault(metric, [])
        return lines, f"{sample.name}{{{written(labels)}}} "

    def text(self) -> Iterator[str]:
        """Yield the text in pieces."""
        for family, metrics in self._lines.items():
            definition = _DEFINITIONS[family]
            yield f"# TYPE {family} {definition.kind}\n# HELP {family} {definition.text}\n"
            for lines in metrics.values():
                yield from lines
        yield "# EOF\n"


def definition_of(sample: str) -> Definition:
    """Return the metric that a sample belongs to, by the sample's name; may raise KeyError."""
    for suffix in _SUFFIXES:
        stem = sample.removesuffix(suffix)
        if sample.endswith(suffix) and stem in _DEFINITIONS:
            return _DEFINITIONS[stem]
    raise KeyError(sample)
