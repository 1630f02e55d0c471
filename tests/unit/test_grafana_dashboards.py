"""The committed dashboards: what the source makes, naming only metrics that exist, adding up only what may be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from grafana.__main__ import DASHBOARDS, DIRECTORY, files
from grafana.dashboard import Dashboard
from grafana.panels import COLUMNS
from tests.exported_metrics import asked_for, exported

TARGETS = [
    pytest.param(target, id=f"{dashboard.uid}: {panel['title']} {target['refId']}")
    for dashboard in DASHBOARDS
    for panel in dashboard.json()["panels"]
    for target in panel["targets"]
]


def test_the_committed_files_are_what_the_source_makes() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in DIRECTORY.glob("*.json")}
    assert committed == files(), "run `python -m grafana`"


@pytest.mark.parametrize("target", TARGETS)
def test_metrics_that_are_asked_for_are_exported(target: dict[str, Any]) -> None:
    if "expr" not in target:
        assert target["rawSql"]
        return
    assert asked_for(target["expr"]), "an expression about nothing of ours"
    assert asked_for(target["expr"]) <= exported()


@pytest.mark.parametrize("target", TARGETS)
def test_percentiles_are_never_averaged_nor_uniques_added_up(target: dict[str, Any]) -> None:
    text = target.get("expr") or target["rawSql"]
    assert not re.search(r"\b(avg|sum|max|min)\s*\([^()]*(latency_p\d|_percentile)", text)
    assert not re.search(r"\bunique_(users|ips)\b", text)
    assert "avg(" not in text
    assert "quantile" not in text or "sum by (le)" in text


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: str(each.uid))
def test_panels_fill_the_page_without_overlap(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.json()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_no_dashboard_holds_a_secret_or_an_address() -> None:
    for text in files().values():
        assert not re.search(r"password|https?://", text, re.I)
