"""The dashboard of the testbed itself: whether the figures are the cluster's or the machine's."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, stat, table, timeseries

from dashboards.grafana import frame
from dashboards.grafana.panels import BAD_FROM_ONE, heat_map, lines, number, rows
from dashboards.grafana.queries import ANY_RUNS, WHICH_RUN, Query, at_end, buckets, metric


def health() -> builders.Dashboard:
    """Late timers, lost events, and the costs of scrapes."""
    made = frame.dashboard(
        "health",
        "crunchbed: testbed health",
        "Whether the machine kept up. A run whose hooks lost events is invalid; late timers mean "
        "that misses may be the machine's.",
        frame.runs(),
        marked=False,
    )
    frame.add(made, *(figure.span(6) for figure in _figures()), _runs())
    frame.add(made, *_machine(), row="The machine")
    frame.add(made, *_scrapes(), _scrape_costs(), row="Scrapes")
    return made


def _figures() -> tuple[stat.Panel, ...]:
    return (
        number(
            "Timers late",
            "Wake-ups of daemons over half an interval late by their own clock.",
            f"sum({at_end(metric('timers_late_total', ANY_RUNS))})",
            steps=BAD_FROM_ONE,
        ),
        number(
            "Hook events lost",
            "Entries of the hooks' journal, overwritten before the agent read them.",
            f"sum({at_end(metric('hook_events_lost_total', ANY_RUNS))})",
            steps=BAD_FROM_ONE,
        ),
        number("Agents that answer", "Scrape targets that are up.", f"sum(up{{{ANY_RUNS}}})"),
        number(
            "Slowest scrape",
            "In the time range.",
            f"max(max_over_time(scrape_duration_seconds{{{ANY_RUNS}}}[$__range]))",
            unit="s",
            steps=((None, "green"), (0.1, "yellow"), (0.5, "red")),
        ),
    )


def _runs() -> table.Panel:
    info = f"max by ({WHICH_RUN}) ({at_end(metric('run_info', ANY_RUNS))})"
    nodes = f"count by ({WHICH_RUN}) ({at_end(metric('run_info', ANY_RUNS))})"
    late = f"sum by ({WHICH_RUN}) ({at_end(metric('timers_late_total', ANY_RUNS))})"
    lost = f"sum by ({WHICH_RUN}) ({at_end(metric('hook_events_lost_total', ANY_RUNS))})"
    return rows(
        "Runs in the time range",
        "What this Prometheus has seen of them.",
        Query(info, "recorded"),
        Query(nodes, "nodes"),
        Query(late, "timers late"),
        Query(lost, "hook events lost"),
        hidden=("Value #A",),
    )


def _by_node(name: str) -> Query:
    return Query(f"sum by (run, node) ({metric(name, ANY_RUNS)})", "{{run}} {{node}}")


def _by_run(name: str, words: str) -> Query:
    return Query(f"sum by (run) ({metric(name, ANY_RUNS)})", f"{{{{run}}}} {words}")


def _by_agent(name: str) -> Query:
    """A figure of Prometheus itself about its targets."""
    return Query(f"max by (run, instance) ({name}{{{ANY_RUNS}}})", "{{run}} {{instance}}")


def _machine() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "Timers late, in all",
            "By node, since the start of its run.",
            _by_node("timers_late_total"),
            steps=True,
        ),
        lines(
            "Hook events lost, in all",
            "By node, since the start of its run.",
            _by_node("hook_events_lost_total"),
            steps=True,
        ),
        lines(
            "Refused by the controller, in all",
            "Pressure messages that were not this run's, and OpenFlow that made no sense. Empty "
            "where no controller has the switches.",
            _by_run("pressure_messages_refused_total", "pressure messages"),
            _by_run("openflow_malformed_total", "OpenFlow"),
            steps=True,
            span=24,
        ),
    )


def _scrapes() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "How long a scrape takes",
            "By Prometheus' clock, for each agent.",
            _by_agent("scrape_duration_seconds"),
            unit="s",
        ),
        lines("Samples a scrape", "For each agent.", _by_agent("scrape_samples_scraped")),
    )


def _scrape_costs() -> heatmap.Panel:
    return heat_map(
        "What a scrape costs an agent",
        "By the agents' own clocks, all of them: how many scrapes fell into each bucket.",
        buckets("scrape_seconds", ANY_RUNS),
    )
