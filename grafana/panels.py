"""What dashboards are made of: queries and panels. Pure: gives dictionaries, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

POSTGRES: Json = {"type": "grafana-postgresql-datasource", "uid": "stacklens-postgres"}
PROMETHEUS: Json = {"type": "prometheus", "uid": "stacklens-prometheus"}
COLUMNS = 24
"""A row of a dashboard in Grafana's units."""
STATUS_COLOURS = {
    "healthy": "green", "degraded": "orange", "unhealthy": "red", "unknown": "text",
    "info": "blue", "warning": "orange", "critical": "red",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """One query: SQL (`table`: rows as they are; else time, metric, value), or an expression of Prometheus."""

    text: str
    legend: str = ""
    is_sql: bool = False
    table: bool = False

    def target(self, ref: str) -> Json:
        """As a panel holds it."""
        if self.is_sql:
            return {
                "refId": ref,
                "datasource": POSTGRES,
                "format": "table" if self.table else "time_series",
                "rawQuery": True,
                "editorMode": "code",
                "rawSql": self.text.strip(),
            }
        return {
            "refId": ref,
            "datasource": PROMETHEUS,
            "expr": self.text,
            "legendFormat": self.legend or "__auto",
            "instant": self.table,
            "range": not self.table,
        }


def series(sql: str) -> Query:
    """SQL that gives `time` and values, in the order of time."""
    return Query(sql, is_sql=True)


def rows(sql: str) -> Query:
    """SQL whose rows are shown as they are."""
    return Query(sql, is_sql=True, table=True)


def prom(expr: str, legend: str = "") -> Query:
    """An expression of Prometheus over the range shown."""
    return Query(expr, legend)


def prom_now(expr: str, legend: str = "") -> Query:
    """The same, at the end of the range only."""
    return Query(expr, legend, table=True)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `kind` is Grafana's name of it."""

    title: str
    kind: str
    queries: Sequence[Query]
    width: int = 12
    height: int = 8
    unit: str = "short"
    description: str = ""
    limits: Sequence[tuple[float, str]] = ()
    """Colours from a value on; below the first it is green."""
    minimum: float | None = 0
    units: Mapping[str, str] | None = None
    """Of a table's columns that have one of their own."""

    def json(self, number: int, x: int, y: int) -> Json:
        """As the dashboard holds it, at a place."""
        defaults: Json = {"unit": self.unit, "color": {"mode": "palette-classic"}}
        if self.minimum is not None:
            defaults["min"] = self.minimum
        if self.kind in ("stat", "bargauge", "table"):
            defaults["color"] = {"mode": "thresholds"}
            defaults["mappings"] = [_mapping()]
        steps: list[Json] = [{"color": "green", "value": None}]
        steps += [{"color": colour, "value": value} for value, colour in self.limits]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if self.kind == "timeseries":
            defaults["custom"] = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
        return {
            "id": number,
            "title": self.title,
            "type": self.kind,
            "description": self.description,
            "datasource": POSTGRES if self.queries[0].is_sql else PROMETHEUS,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [each.target(chr(ord("A") + at)) for at, each in enumerate(self.queries)],
            "fieldConfig": {"defaults": defaults, "overrides": _overrides(self.units or {})},
            "options": _options(self.kind),
        }


def _mapping() -> Json:
    options = {
        text: {"color": colour, "index": at}
        for at, (text, colour) in enumerate(STATUS_COLOURS.items())
    }
    return {"type": "value", "options": options}


def _overrides(units: Mapping[str, str]) -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": column},
            "properties": [{"id": "unit", "value": unit}],
        }
        for column, unit in units.items()
    ]


def _options(kind: str) -> Json:
    last: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    by_kind: dict[str, Json] = {
        "timeseries": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "stat": {"reduceOptions": last, "colorMode": "value", "graphMode": "area"},
        "bargauge": {
            "reduceOptions": {**last, "values": True},
            "orientation": "horizontal",
            "displayMode": "basic",
        },
        "table": {"showHeader": True, "cellHeight": "sm"},
    }
    return by_kind[kind]
