"""Every SQL query of the dashboards runs as the reader on the real schema, and gives what its panel expects."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import load_settings
from grafana.__main__ import DASHBOARDS
from grafana.health import TOP_LATENCIES
from grafana.windows import PERCENTILES
from tests.databases import Database
from tests.integration.filled_windows import Sample, fill
from tests.reference.brute_force import nearest_rank

pytestmark = pytest.mark.both_postgres

RANGES = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=2), timedelta(days=29))
TIME_SERIES = "time_series"
QUERIES = {
    f"{dashboard.uid}: {panel['title']}": (target["rawSql"], target["format"])
    for dashboard in DASHBOARDS
    for panel in dashboard.json()["panels"]
    for target in panel["targets"]
    if "rawSql" in target
}
VARIABLES = {
    f"{dashboard.uid}: variable {variable['name']}": (variable["query"], "table")
    for dashboard in DASHBOARDS
    for variable in dashboard.json()["templating"]["list"]
}


def as_sent(text: str, since: datetime, until: datetime, services: str = "'a','b'") -> str:
    """The statement as Grafana sends it: macros and variables replaced as its PostgreSQL data source does."""
    first, last = (f"'{each.isoformat().replace('+00:00', 'Z')}'" for each in (since, until))
    text = text.replace("${service:sqlstring}", services)
    text = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {first} AND {last}", text)
    text = text.replace("$__timeFrom()", first).replace("$__timeTo()", last)
    assert "$" not in text, "a macro or variable that is not replaced here"
    return text


def run(database: Database, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows, as the reader that Grafana logs in as."""
    settings = load_settings({**database.env, "APP_ENV": "test"}, env_file=None)
    connection = parameters(settings, "reader").connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.description is not None
            return [column.name for column in cursor.description], cursor.fetchall()
    finally:
        connection.close()


def filled(database: Database, now: datetime) -> list[Sample]:
    """Two services' events of the last minutes, in all three window tables."""
    at_s = int(now.timestamp()) - 150
    samples = [
        Sample(at_s + number % 90, service, base * (1 + number / 37), number % 9 == 0)
        for number in range(180)
        for service, base in (("a", 20.0), ("b", 700.0))
    ]
    for window in ("1min", "5min", "1hour"):
        fill(database, window, samples)
    return samples


def test_every_query_runs_over_short_and_long_ranges(database: Database) -> None:
    now = datetime.now(UTC)
    filled(database, now)
    for name, (text, kind) in {**QUERIES, **VARIABLES}.items():
        for length in RANGES:
            columns, rows = run(database, as_sent(text, now - length, now))
            if kind == TIME_SERIES:
                assert columns[0] == "time", name
                assert [row[0] for row in rows] == sorted(row[0] for row in rows), name
    ((variable, _),) = VARIABLES.values()
    assert run(database, as_sent(variable, now - RANGES[1], now))[1] == [("a",), ("b",)]


def test_percentiles_of_several_services_are_of_all_their_events(database: Database) -> None:
    now = datetime.now(UTC)
    samples = filled(database, now)
    # More than six hours: 5min windows, which begin before the samples.
    columns, rows = run(database, as_sent(PERCENTILES, now - timedelta(hours=7), now))
    assert columns == ["time", "p50", "p95", "p99"]
    for row in rows:
        start_s = int(row[0].timestamp())
        values = [
            each.latency_ms
            for each in samples
            if each.latency_ms is not None and start_s <= each.at_s < start_s + 300
        ]
        for percent, shown in zip((50, 95, 99), row[1:], strict=True):
            assert shown == pytest.approx(nearest_rank(sorted(values), percent), rel=0.01)
    assert rows


def test_the_slowest_service_is_first(database: Database) -> None:
    now = datetime.now(UTC)
    samples = filled(database, now)
    columns, rows = run(database, as_sent(TOP_LATENCIES, now - timedelta(minutes=10), now))
    assert [row[0] for row in rows] == ["b", "a"]
    slow = sorted(each.latency_ms or 0 for each in samples if each.service == "b")
    p99 = nearest_rank(slow, 99)
    assert rows[0][columns.index("p99")] == pytest.approx(p99, rel=0.01)
