"""One function for each kind of panel, so that a kind looks the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.grafana.queries import Query

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${source}")
"""The Prometheus that the dashboard's variable ``source`` names: Grafana may have several."""

BAD_FROM_ONE = ((None, "green"), (1.0, "red"))
BAD_BELOW_TENTH = ((None, "red"), (0.1, "yellow"), (0.5, "green"))
NEUTRAL = ((None, "blue"),)
Steps = Sequence[tuple[float | None, str]]


def _targets(
    queries: Sequence[Query],
    format_: PromQueryFormat = PromQueryFormat.TIME_SERIES,
    *,
    instant: bool = False,
) -> list[prometheus.Dataquery]:
    made = []
    for letter, query in zip("ABCDEFGHIJKL", queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(SOURCE)
        target.legend_format(query.legend).format(format_)
        made.append(target.instant() if instant else target.range())
    return made


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value, color) for value, color in steps])
    )


def _by_threshold() -> builders.FieldColor:
    return builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def number(
    title: str, text: str, expr: str, unit: str = "short", steps: Steps = NEUTRAL
) -> stat.Panel:
    """A single number: the last value in the time range."""
    return (
        stat.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .targets(list(_targets([Query(expr, title)])))
        .reduce_options(_last())
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_scheme(_by_threshold())
        .graph_mode(looks.BigValueGraphMode.NONE)
        .height(4)
        .span(4)
    )


def lines(
    title: str, text: str, *queries: Query, unit: str = "short", span: int = 12, steps: bool = False
) -> timeseries.Panel:
    """Values over time; ``steps`` for values that jump and then stay."""
    shape = looks.LineInterpolation.STEP_AFTER if steps else looks.LineInterpolation.LINEAR
    legend = common.VizLegendOptions().display_mode(looks.LegendDisplayMode.TABLE).show_legend(True)
    legend.placement(looks.LegendPlacement.RIGHT).calcs(["lastNotNull", "max"])
    return (
        timeseries.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .targets(list(_targets(queries)))
        .unit(unit)
        .min(0)
        .line_interpolation(shape)
        .show_points(looks.VisibilityMode.NEVER)
        .fill_opacity(8)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
        .height(8)
        .span(span)
    )


def bands(
    title: str, text: str, query: Query, on: str, off: str, color: str, span: int = 24
) -> statetimeline.Panel:
    """A band for each series, coloured while its value is 1."""
    words = {
        "0": models.ValueMappingResult(text=off, color="rgba(128, 128, 128, 0.15)", index=0),
        "1": models.ValueMappingResult(text=on, color=color, index=1),
    }
    return (
        statetimeline.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .targets(list(_targets([query])))
        .mappings([models.ValueMap(options=words)])
        .thresholds(_thresholds(((None, "rgba(128, 128, 128, 0.15)"), (1.0, color))))
        .color_scheme(_by_threshold())
        .show_value(looks.VisibilityMode.NEVER)
        .merge_values(True)
        .fill_opacity(90)
        .height(7)
        .span(span)
    )


def heat_map(title: str, text: str, expr: str, unit: str = "s", span: int = 24) -> heatmap.Panel:
    """A histogram over time: how many observations fell into each bucket."""
    colors = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges")
    return (
        heatmap.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .targets(list(_targets([Query(expr, "{{le}}")], PromQueryFormat.HEATMAP)))
        .calculate(False)
        .color(colors.steps(64))
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .cell_gap(1)
        .height(9)
        .span(span)
    )


def bars(
    title: str, text: str, query: Query, unit: str = "short", steps: Steps = NEUTRAL, span: int = 8
) -> bargauge.Panel:
    """A bar for each series, from one query at the end of the time range."""
    return (
        bargauge.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .targets(list(_targets([query], instant=True)))
        .reduce_options(_last())
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .name_placement(looks.BarGaugeNamePlacement.TOP)
        .unit(unit)
        .min(0)
        .thresholds(_thresholds(steps))
        .color_scheme(_by_threshold())
        .height(7)
        .span(span)
    )


def rows(title: str, text: str, *queries: Query, hidden: Sequence[str] = ()) -> table.Panel:
    """A table with a column for each label and for each query, which is named by its legend."""
    names = {f"Value #{letter}": query.legend for letter, query in zip("ABCDEFGHIJKL", queries)}  # noqa: B905
    if len(queries) == 1:
        names = {"Value": queries[0].legend}
    organize = {"excludeByName": dict.fromkeys(("Time", *hidden), True), "renameByName": names}
    return (
        table.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .targets(list(_targets(queries, PromQueryFormat.TABLE, instant=True)))
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))
        .height(8)
        .span(24)
    )
