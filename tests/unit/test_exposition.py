"""The text for Prometheus: what prometheus_client would have written, and never a stale one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from reserve_agent.exposition import Families, Family
from reserve_agent.metrics import METRICS, SWITCH_METRICS, Definition
from tests.unit.prometheus_registry import registry_of

WRITES = METRICS["crunchbed_block_io_seconds"]
MISSED = METRICS["crunchbed_heartbeats_missed_total"]


def library(families: Families) -> str:
    return generate_latest(registry_of(families)).decode()


@given(st.lists(st.floats(0, 1000), max_size=20), st.text(max_size=5))
def test_a_histogram_reads_as_the_library_would_have_it(seen: list[float], label: str) -> None:
    ours = Family(WRITES, {"node": "n1"})
    registry = CollectorRegistry()
    names = ("node", "transport", "op")
    theirs = Histogram(
        WRITES.full_name, WRITES.text, names, buckets=WRITES.buckets, registry=registry
    )
    for value in seen:
        ours.observe(value, label, "write")
        theirs.labels("n1", label, "write").observe(value)
    samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in ours.samples()}
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert samples.pop(key) == pytest.approx(sample.value)
    assert samples == {}
    families = Families([ours])
    assert sorted(families.text().splitlines()) == sorted(library(families).splitlines())


@given(st.text(max_size=8), st.floats(0, 1e12))
def test_a_counter_reads_as_the_library_would_have_it(label: str, value: float) -> None:
    ours = Family(MISSED, {"node": "n1"})
    ours.add(label, "unknown", by=value)
    registry = CollectorRegistry()
    names = ("node", "peer", "cause")
    theirs = Counter("crunchbed_heartbeats_missed", MISSED.text, names, registry=registry)
    theirs.labels("n1", label, "unknown").inc(value)
    wanted = [s for f in registry.collect() for s in f.samples if not s.name.endswith("_created")]
    assert [(s.name, s.value) for s in ours.samples()] == [(s.name, s.value) for s in wanted]
    (sample,) = ours.samples()
    assert dict(sample.labels) == wanted[0].labels
    (family,) = text_string_to_metric_families(ours.text())
    assert family.samples[0].labels == wanted[0].labels
    assert family.samples[0].value == value


def test_a_text_that_is_kept_is_never_stale() -> None:
    family = Family(MISSED, {"node": "n1"})
    family.add("n2", "unknown")
    before = family.text()
    assert family.text() is before
    family.add("n2", "unknown")
    assert family.text() == before.replace(" 1.0", " 2.0")


def test_what_changes_while_it_is_written_is_in_the_next_text() -> None:
    family = Family(MISSED, {"node": "n1"})
    family.add("n2", "unknown")
    rows = family._rows  # the moment between looking at the values and keeping the text

    def late() -> list[tuple[tuple[str, ...], float]]:
        found = rows()
        family.add("n2", "unknown")
        return found

    family._rows = late  # type: ignore[method-assign]
    assert " 1.0" in family.text()
    family._rows = rows  # type: ignore[method-assign]
    assert " 2.0" in family.text()


class ScrapedAtEveryWrite(dict[tuple[str, ...], Any]):
    """Values of a family that somebody scrapes right before and after each of them changes."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def __setitem__(self, labels: tuple[str, ...], value: Any) -> None:
        self._family.text()
        super().__setitem__(labels, value)
        self._family.text()

    def setdefault(self, labels: tuple[str, ...], default: Any = None) -> Any:
        self[labels] = found = self.get(labels, default)
        return found


def test_an_observation_is_in_the_text_that_follows_whoever_scrapes_meanwhile() -> None:
    family = Family(WRITES, {"node": "n1"})
    family._values = ScrapedAtEveryWrite(family)
    family._counts = ScrapedAtEveryWrite(family)
    family.open("nbd", "write")
    for count in (1, 2):
        family.observe(0.5, "nbd", "write")
        assert f'seconds_count{{node="n1",op="write",transport="nbd"}} {count}.0' in family.text()
        assert f"}} {count / 2}" in family.text()


def test_what_is_read_is_read_every_time() -> None:
    values = iter((1.0, 2.0))
    gauge = replace(METRICS["crunchbed_pages_free"], name="x")
    family = Family(gauge, {"node": "n1"}, lambda: [((), next(values))])
    assert [family.text().split()[-1] for _ in range(2)] == ["1.0", "2.0"]


def test_without_a_fixed_label_the_first_is_the_node() -> None:
    family = Family(SWITCH_METRICS[0], {})
    family.add("n3", "other", by=4)
    assert family.text().endswith('crunchbed_switch_packets_total{class="other",node="n3"} 4.0\n')


def test_an_information_replaces_the_one_before() -> None:
    family = Family(METRICS["crunchbed_run_info"], {"node": "n1"})
    family.only("abcd", "control", "none")
    family.only("abcd", "control", "memalloc")
    (sample,) = family.samples()
    assert (sample.labels["policy"], sample.value) == ("memalloc", 1)


def test_every_metric_has_a_name_of_its_own() -> None:
    definitions: list[Definition] = list(METRICS.values())
    assert len({one.name for one in definitions}) == len(definitions)
