"""What all dashboards share: variables, links, rows of panels, marks of a run's events."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.grafana.panels import SOURCE
from dashboards.grafana.queries import ONE_RUN, metric

TAG = "crunchbed"
_LAST_QUARTER = ("now-15m", "now")
_MARK_STEP = "1s"


class Mark(models.AnnotationQuery):
    """An annotation from Prometheus, with settings of Prometheus that the SDK has no names for.

    Args:
        name: Label of the switch at the top of the dashboard.
        expr: An expression; each time its value rises over 0 there is an event.
        title: Title of the event; may contain labels as ``{{label}}``.
        labels: Labels shown with the event.
        color: Colour of the mark.
    """

    def __init__(self, name: str, expr: str, title: str, labels: str, color: str) -> None:
        super().__init__(name=name, datasource=SOURCE, icon_color=color, expr=expr)
        self._own = {"step": _MARK_STEP, "titleFormat": title, "tagKeys": labels}

    def to_json(self) -> dict[str, object]:
        """The annotation as Grafana stores it."""
        return {**super().to_json(), **self._own}


class _Built(Builder[models.AnnotationQuery]):
    """A mark as a builder, since the SDK takes annotations in this form only."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def build(self) -> models.AnnotationQuery:
        return self._mark


def _rises(name: str, more: str = "") -> str:
    """An expression above 0 where a counter has grown since the step before."""
    selector = metric(name, ONE_RUN, more)
    return f"max by (node) (({selector} - {selector} offset $__interval) > 0)"


def marks() -> list[Mark]:
    """Marks for the crunches, ejections and fail-overs of the run that is shown."""
    pressed = f"max by (node) ({metric('pressure_active', ONE_RUN)} > 0)"
    crunched = f"{pressed} or {_rises('pressure_duration_seconds_count')}"
    return [
        Mark("Crunches", crunched, "memory pressure on {{node}}", "node", "orange"),
        Mark(
            "False ejections",
            _rises("nodes_ejected_total", 'false="true"'),
            "{{node}} ejected, though alive",
            "node",
            "red",
        ),
        Mark(
            "Ejections",
            _rises("nodes_ejected_total", 'false="false"'),
            "{{node}} ejected, rightly",
            "node",
            "purple",
        ),
        Mark(
            "Fail-overs", _rises("failovers_total"), "{{node}} took over the device", "node", "blue"
        ),
    ]


def _variable(name: str, label: str, query: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def scenario() -> builders.QueryVariable:
    """The variable for the scenario."""
    return _variable("scenario", "Scenario", "label_values(crunchbed_run_info, scenario)")


def run(where: str = "") -> builders.QueryVariable:
    """The variable for one run; ``where`` restricts the choice, by label matchers."""
    return _variable("run", "Run", f"label_values(crunchbed_run_info{{{where}}}, run)")


def runs(where: str = "") -> builders.QueryVariable:
    """The variable for several runs; at first it has all of them."""
    chosen = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    return run(where).multi(True).include_all(True).current(chosen)


def node() -> builders.QueryVariable:
    """The variable for a node of the run."""
    return _variable("node", "Node", f"label_values(crunchbed_run_info{{{ONE_RUN}}}, node)")


def dashboard(
    name: str, title: str, text: str, *variables: builders.QueryVariable, marked: bool = True
) -> builders.Dashboard:
    """A dashboard without panels.

    Args:
        name: Part of the uid, which is the name of the file too.
        title: Title in Grafana's list.
        text: The question that the dashboard answers.
        variables: Variables, besides the one for the data source.
        marked: Whether the panels have marks for a single run's events.
    """
    made = (
        builders.Dashboard(title)
        .uid(f"crunchbed-{name}")
        .description(text)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time(*_LAST_QUARTER)
        .refresh("5s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .timepicker(builders.TimePicker().refresh_intervals(["1s", "5s", "15s", "1m"]))
        .link(
            builders.DashboardLink("crunchbed")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(False)
            .include_vars(True)
            .keep_time(True)
        )
    )
    source = builders.DatasourceVariable("source").label("Prometheus").type("prometheus")
    made.variables([source, *variables])
    if marked:
        made.annotations([_Built(mark) for mark in marks()])
    return made


def add(made: builders.Dashboard, *panels: Builder[models.Panel], row: str = "") -> None:
    """Append panels to a dashboard, under a new row with this title, or without a new row."""
    if row:
        made.with_row(builders.Row(row))
    for panel in panels:
        made.with_panel(panel)
