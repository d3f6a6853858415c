"""The testbed itself: whether what is measured is the cluster, or this machine."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from dashboards.grafana import frame
from dashboards.grafana.panels import BAD_FROM_ONE, heat_map, lines, number, rows
from dashboards.grafana.queries import ANY_RUNS, WHICH_RUN, Query, at_end, buckets, metric


def health() -> builders.Dashboard:
    """Late timers, lost events, and what scraping costs."""
    made = frame.dashboard(
        "health",
        "crunchbed: testbed health",
        "Whether the machine kept up. A run whose hooks lost events is invalid; late timers mean "
        "that misses may be the machine's.",
        frame.runs(),
        marked=False,
    )
    _figures(made)
    _trouble(made)
    _scrapes(made)
    return made


def _figures(made: builders.Dashboard) -> None:
    panels = (
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
    for panel in panels:
        made.with_panel(panel.span(6))
    info = f"max by ({WHICH_RUN}) ({at_end(metric('run_info', ANY_RUNS))})"
    nodes = f"count by ({WHICH_RUN}) ({at_end(metric('run_info', ANY_RUNS))})"
    late = f"sum by ({WHICH_RUN}) ({at_end(metric('timers_late_total', ANY_RUNS))})"
    lost = f"sum by ({WHICH_RUN}) ({at_end(metric('hook_events_lost_total', ANY_RUNS))})"
    made.with_panel(
        rows(
            "Runs in the time range",
            "What this Prometheus has seen of them.",
            Query(info, "recorded"),
            Query(nodes, "nodes"),
            Query(late, "timers late"),
            Query(lost, "hook events lost"),
            hidden=("Value #A",),
        )
    )


def _trouble(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("The machine"))
    made.with_panel(
        lines(
            "Timers late, in all",
            "By node, since the start of its run.",
            Query(
                f"sum by (run, node) ({metric('timers_late_total', ANY_RUNS)})",
                "{{run}} {{node}}",
            ),
            steps=True,
        )
    )
    made.with_panel(
        lines(
            "Hook events lost, in all",
            "By node, since the start of its run.",
            Query(
                f"sum by (run, node) ({metric('hook_events_lost_total', ANY_RUNS)})",
                "{{run}} {{node}}",
            ),
            steps=True,
        )
    )


def _scrapes(made: builders.Dashboard) -> None:
    made.with_panel(
        lines(
            "Refused by the controller, in all",
            "Pressure messages that were not this run's, and OpenFlow that made no sense. Empty "
            "where no controller has the switches.",
            Query(
                f"sum by (run) ({metric('pressure_messages_refused_total', ANY_RUNS)})",
                "{{run}} pressure messages",
            ),
            Query(
                f"sum by (run) ({metric('openflow_malformed_total', ANY_RUNS)})",
                "{{run}} OpenFlow",
            ),
            steps=True,
            span=24,
        )
    )
    made.with_row(builders.Row("Scrapes"))
    made.with_panel(
        lines(
            "How long a scrape takes",
            "By Prometheus' clock, for each agent.",
            Query(
                f"max by (run, instance) (scrape_duration_seconds{{{ANY_RUNS}}})",
                "{{run}} {{instance}}",
            ),
            unit="s",
        )
    )
    made.with_panel(
        lines(
            "Samples a scrape",
            "For each agent.",
            Query(
                f"max by (run, instance) (scrape_samples_scraped{{{ANY_RUNS}}})",
                "{{run}} {{instance}}",
            ),
        )
    )
    made.with_panel(
        heat_map(
            "What a scrape costs an agent",
            "By the agents' own clocks, all of them: how many scrapes fell into each bucket.",
            buckets("scrape_seconds", ANY_RUNS),
        )
    )
