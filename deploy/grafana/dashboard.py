"""Makes ``dashboards/safelight.json``, the dashboard that Grafana shows: ``python -m deploy.grafana.dashboard``.

One line a panel. ``$__rate_interval`` is Grafana's own: four times what Prometheus takes to come again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    GridPos,
    Threshold,
    ThresholdsMode,
    VariableHide,
)

FILE = Path(__file__).parent / "dashboards" / "safelight.json"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH, _HEIGHT, _STAT_HEIGHT = 8, 7, 4
_RATE = "[$__rate_interval]"


class Panel(NamedTuple):
    """A panel: its title, its unit, its expressions by legend, and where to look when it is bad.

    ``bad`` turns red what is above it (below, where it is negative: a share that must not fall under its amount).
    """

    title: str
    unit: str
    expressions: dict[str, str]
    text: str = ""
    bad: float | None = None
    is_stat: bool = False
    is_stacked: bool = False


def _p(quantile: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({metric}_bucket{_RATE})))"


def _rate(metric: str, by: str = "", where: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{where}{_RATE}))"


def _money(movement: str) -> str:
    where = f'{{movement="{movement}"}}'
    return f"{_rate('safelight_money_nanos_total', where=where)} * 60 / 1e9 or vector(0)"


_REQUESTS, _SECONDS = "safelight_http_requests_total", "safelight_http_request_duration_seconds"
_ENDED, _STEP = "safelight_generations_total", "safelight_generation_duration_seconds"
_COMPLETED = '{outcome="completed"}'
_OURS = '{outcome=~"completed|failed"}'
_CALLS, _CALL = "safelight_provider_calls_total", "safelight_provider_call_duration_seconds"
_FAILED_CALLS = '{result!="ok"}'
_5XX = '{status=~"5.."}'

ROWS: dict[str, list[Panel]] = {
    "Now": [
        Panel("Database", "bool_on_off", {"": "min(safelight_database_up)"}, "0: it does not answer.", -1, True),
        Panel(
            "Books",
            "bool_yes_no",
            {"": "min(safelight_books_ok)"},
            "Whether they balanced when last looked at.",
            -1,
            True,
        ),
        Panel("Workers", "short", {"": "max(safelight_workers)"}, "Of all nodes.", -1, True),
        Panel(
            "Unknown outcomes",
            "short",
            {"": 'sum(max by (type) (safelight_generations{state="unknown"}))'},
            "",
            1,
            True,
        ),
        Panel("Held", "currencyUSD", {"": "max(safelight_money_held_nanos) / 1e9"}, "For work under way.", None, True),
        Panel(
            "Deletions overdue", "short", {"": "max(safelight_deletions_overdue)"}, "Files past their time.", 1, True
        ),
    ],
    "Requests": [
        Panel("Requests by route", "reqps", {"{{route}}": _rate(_REQUESTS, "route")}, is_stacked=True),
        Panel(
            "Server errors",
            "percentunit",
            {"5xx": f"({_rate(_REQUESTS, where=_5XX)} or vector(0)) / {_rate(_REQUESTS)}"},
            "Their share of all requests.",
            0.01,
        ),
        Panel("Refused, by code", "reqps", {"{{code}}": _rate("safelight_refusals_total", "code")}, is_stacked=True),
        Panel(
            "Duration, 99th percentile",
            "s",
            {"{{route}}": _p(0.99, _SECONDS, "route")},
            "Streams and polls that wait last as long as they are asked to.",
        ),
        Panel("In flight", "short", {"{{instance}}": "sum by (instance) (safelight_http_in_flight)"}),
        Panel("Downloads", "Bps", {"sent": _rate("safelight_downloads_bytes_total")}),
    ],
    "Work": [
        Panel(
            "Ended",
            "short",
            {"{{type}} {{outcome}}": f"{_rate(_ENDED, 'type, outcome')} * 60"},
            "A minute.",
            is_stacked=True,
        ),
        Panel(
            "Success",
            "percentunit",
            {"{{model}}": f"{_rate(_ENDED, 'model', _COMPLETED)} / {_rate(_ENDED, 'model', _OURS)}"},
            "Completed, of what was neither refused nor canceled.",
            -0.95,
        ),
        Panel(
            "Under way",
            "short",
            {"{{type}} {{state}}": "max by (type, state) (safelight_generations)"},
            is_stacked=True,
        ),
        Panel("Steps, median", "s", {"{{step}}": _p(0.5, _STEP, "step")}),
        Panel("Steps, 95th percentile", "s", {"{{step}}": _p(0.95, _STEP, "step")}),
        Panel("Oldest waiting", "s", {"{{queue}}": "max by (queue) (safelight_queue_oldest_seconds)"}, "", 60),
        Panel(
            "Calls to backends", "reqps", {"{{provider}} {{call}}": _rate(_CALLS, "provider, call")}, is_stacked=True
        ),
        Panel(
            "Calls that failed",
            "reqps",
            {"{{provider}} {{result}}": f"{_rate(_CALLS, 'provider, result', _FAILED_CALLS)} or vector(0)"},
        ),
        Panel("Calls, 95th percentile", "s", {"{{provider}} {{call}}": _p(0.95, _CALL, "provider, call")}),
        Panel(
            "Connections left alone",
            "short",
            {"{{connection}}": "max by (connection) (safelight_provider_breaker_open) or vector(0)"},
            "",
            1,
        ),
        Panel("Leases lost", "short", {"lost": "sum(increase(safelight_leases_lost_total[1h]))"}, "In an hour.", 1),
    ],
    "Money": [
        Panel(
            "Moved",
            "currencyUSD",
            {name: _money(name) for name in ("held", "captured", "released", "credited")},
            "Dollars a minute.",
        ),
        Panel("Held", "currencyUSD", {"held": "max(safelight_money_held_nanos) / 1e9"}),
        Panel("Books last looked at", "s", {"ago": "max(safelight_books_checked_seconds)"}, "", 3600),
    ],
    "Storage": [
        Panel("Media kept", "bytes", {"kept": "max(safelight_storage_bytes)"}),
        Panel(
            "Operations",
            "ops",
            {"{{operation}} {{result}}": _rate("safelight_storage_operations_total", "operation, result")},
            is_stacked=True,
        ),
        Panel(
            "Duration, 95th percentile",
            "s",
            {"{{operation}}": _p(0.95, "safelight_storage_operation_duration_seconds", "operation")},
        ),
        Panel("Bytes", "Bps", {"{{operation}}": _rate("safelight_storage_operation_bytes_total", "operation")}),
        Panel("Deletions overdue", "short", {"overdue": "max(safelight_deletions_overdue)"}, "", 1),
    ],
    "Webhooks": [
        Panel("Attempts", "ops", {"{{result}}": _rate("safelight_webhook_attempts_total", "result")}, is_stacked=True),
        Panel("Oldest that is due", "s", {"waits": "max(safelight_webhook_oldest_pending_seconds)"}, "", 600),
        Panel("Endpoints disabled", "short", {"disabled": "max(safelight_webhook_endpoints_disabled)"}),
    ],
    "Processes": [
        Panel(
            "Event loop is late, 99th percentile",
            "s",
            {"{{process}}": _p(0.99, "safelight_event_loop_lag_seconds", "process")},
            "",
            0.25,
        ),
        Panel(
            "Waiting for the database",
            "short",
            {"{{instance}}": "sum by (instance) (safelight_db_pool_waiting)"},
            "",
            1,
        ),
        Panel(
            "Certificate ends in",
            "s",
            {"{{instance}}": "min by (instance) (safelight_certificate_expires_seconds)"},
            "Of the chain that signs files.",
            -1_209_600,
        ),
        Panel(
            "Releases", "short", {"{{version}}": "count by (version) (safelight_build_info)"}, "Nodes by what they run."
        ),
    ],
}


def _thresholds(bad: float | None) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green")]
    if bad is not None and bad >= 0:
        steps.append(Threshold(value=bad, color="red"))
    elif bad is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=-bad, color="green")]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _queries(panel: Panel) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + place))
        for place, (legend, expression) in enumerate(panel.expressions.items())
    ]


def _stat(panel: Panel) -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().unit(panel.unit).thresholds(_thresholds(panel.bad)).reduce_options(last)


def _graph(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().unit(panel.unit).min(0).fill_opacity(12 if panel.is_stacked else 0).line_width(1.5)
    made = made.thresholds(_thresholds(panel.bad)).show_points("never")
    made = made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    made = made.legend(
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    if panel.bad is not None:
        style = common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        made = made.thresholds_style(style)
    if panel.is_stacked:
        made = made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return made


def build() -> str:
    """The dashboard, as the JSON that Grafana reads."""
    made = (
        dashboard.Dashboard("Safelight")
        .uid("safelight")
        .description("Requests, work, money, storage and webhooks of all nodes.")
        .tags(["safelight"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("utc")
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource")
            .label("Data source")
            .type("prometheus")
            .hide(VariableHide.DONT_HIDE)
        )
    )
    number = y = 0
    for title, panels in ROWS.items():
        number += 1
        made = made.with_row(dashboard.Row(title).id(number).grid_pos(GridPos(h=1, w=24, x=0, y=y)))
        y += 1
        width, height = (24 // len(panels), _STAT_HEIGHT) if panels[0].is_stat else (_WIDTH, _HEIGHT)
        for place, panel in enumerate(panels):
            number += 1
            column, line = place % (24 // width), place // (24 // width)
            built = (_stat if panel.is_stat else _graph)(panel)
            built = built.title(panel.title).description(panel.text).datasource(_SOURCE).id(number)
            built = built.grid_pos(GridPos(h=height, w=width, x=column * width, y=y + line * height))
            for query in _queries(panel):
                built = built.with_target(query.datasource(_SOURCE))
            made = made.with_panel(built)
        y += height * ((len(panels) - 1) // (24 // width) + 1)
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(made.build())), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(build())
