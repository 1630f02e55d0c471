"""A whole dashboard: its panels in rows, its variables, its links to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.panels import COLUMNS, POSTGRES, Json, Panel


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; its panels fill the page from left to right, line by line."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]
    since: str = "now-1h"
    by_service: bool = False
    """Whether a service can be chosen: its queries may then use `${service:sqlstring}`."""

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"{self.uid}.json"

    def json(self) -> Json:
        """As Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["stacklens"],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "10s",
            "timezone": "browser",
            "time": {"from": self.since, "to": "now"},
            "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
            "templating": {"list": [_services()] if self.by_service else []},
            "annotations": {"list": []},
            "links": [_links()],
            "panels": _placed(self.panels),
        }


def _placed(panels: Sequence[Panel]) -> list[Json]:
    found: list[Json] = []
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        found.append(panel.json(number, x, y))
        x, height = x + panel.width, max(height, panel.height)
    return found


def _services() -> Json:
    statement = (
        "SELECT DISTINCT service FROM analytics_metrics_1hour "
        "WHERE timestamp >= $__timeFrom()::timestamptz - interval '1 hour' "
        "AND timestamp <= $__timeTo() ORDER BY service"
    )
    return {
        "name": "service",
        "label": "Service",
        "type": "query",
        "datasource": POSTGRES,
        "query": statement,
        "definition": statement,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _links() -> Json:
    return {
        "title": "StackLens",
        "type": "dashboards",
        "tags": ["stacklens"],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": True,
    }
