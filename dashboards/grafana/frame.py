"""What all dashboards have around their panels: variables, links, marks of a run's events."""

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
    """An annotation from Prometheus, with the settings of its own that the SDK has no names for.

    Args:
        name: What the switch at the top of the dashboard is called.
        expr: An event is where its value rises over 0.
        title: Of the event; may name labels.
        labels: Labels shown with the event.
        color: Of the mark.
    """

    def __init__(self, name: str, expr: str, title: str, labels: str, color: str) -> None:
        super().__init__(name=name, datasource=SOURCE, icon_color=color, expr=expr)
        self._own = {"step": _MARK_STEP, "titleFormat": title, "tagKeys": labels}

    def to_json(self) -> dict[str, object]:
        """The annotation as Grafana stores it."""
        return {**super().to_json(), **self._own}


class _Built(Builder[models.AnnotationQuery]):
    """A mark that is built already, for who wants a builder."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def build(self) -> models.AnnotationQuery:
        return self._mark


def _rises(name: str, more: str = "") -> str:
    """Above 0 where a counter has grown since the step before."""
    selector = metric(name, ONE_RUN, more)
    return f"max by (node) (({selector} - {selector} offset $__interval) > 0)"


def marks() -> list[Mark]:
    """Crunches, ejections and fail-overs of the run that is shown, and of no other."""
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
    """Which scenario."""
    return _variable("scenario", "Scenario", "label_values(crunchbed_run_info, scenario)")


def run(where: str = "") -> builders.QueryVariable:
    """Which run, out of those that ``where`` leaves."""
    return _variable("run", "Run", f"label_values(crunchbed_run_info{{{where}}}, run)")


def runs(where: str = "") -> builders.QueryVariable:
    """Which runs; all to begin with."""
    chosen = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    return run(where).multi(True).include_all(True).current(chosen)


def node() -> builders.QueryVariable:
    """Which node of the run."""
    return _variable("node", "Node", f"label_values(crunchbed_run_info{{{ONE_RUN}}}, node)")


def dashboard(
    name: str, title: str, text: str, *variables: builders.QueryVariable, marked: bool = True
) -> builders.Dashboard:
    """A dashboard without panels.

    Args:
        name: Becomes the uid, and with it the file's name.
        title: As in Grafana's list.
        text: What it answers.
        variables: Beside the one for the data source.
        marked: Whether a single run's events are marked in its panels.
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
