"""One service for its page: the points of its charts, what its rules compare with, the dead letters that name it."""

from __future__ import annotations

import json
from datetime import datetime

from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.rule_changes import stored_rules
from dashboard_api.context import Context
from dashboard_api.queries.merged import kept_since, levels_of, whole_seconds
from dashboard_api.queries.series import read_columns
from dashboard_api.schemas.overview import ChartPoints, LetterOfService, Threshold
from dashboard_api.steps import plan_steps

CHARTED = (
    "total_requests", "failed_requests", "error_rate", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
    "unique_users", "avg_risk_score", "high_risk_count",
)  # fmt: skip
MOST_LETTERS = 5
_LOOKED_THROUGH = 500
# Letters are not told apart by service, since that is often what is wrong with them: the newest are looked through.
_LETTERS = """
    SELECT id, created_at, reason, detail, status FROM (
        SELECT * FROM analytics_dead_letters ORDER BY id DESC LIMIT %(newest)s
    ) AS newest
    WHERE length(raw_value) <= 65536 AND (
        position(convert_to(%(plain)s, 'UTF8') IN raw_value) > 0
        OR position(convert_to(%(escaped)s, 'UTF8') IN raw_value) > 0
    )
    ORDER BY id DESC LIMIT %(limit)s
"""


def chart_points(
    cursor: Cursor, shared: Context, service: str, since: datetime, until: datetime
) -> ChartPoints:
    """The service's figures step by step, in the shortest steps that give at most about 300."""
    steps = plan_steps(
        *whole_seconds(since, until), levels_of(shared.windows), kept_since(cursor), merging=True
    )
    starts = list(steps.starts_s)
    columns = read_columns(cursor, shared.kept, steps, [service], CHARTED).get(service)
    if columns is None:
        columns = [[None] * len(starts) for _ in CHARTED]
    return ChartPoints(
        steps.step_s,
        steps.window.name,
        starts,
        dict(zip(CHARTED, columns, strict=True)),
    )


def thresholds_of(cursor: Cursor, service: str) -> list[Threshold]:
    """What the enabled rules that watch the service compare its figures with."""
    return [
        Threshold(rule.rule_name, rule.metric_name, rule.operator, rule.threshold, rule.severity)
        for rule in (stored.rule for stored in stored_rules(cursor))
        if rule.enabled and rule.watches(service)
    ]


def letters_naming(cursor: Cursor, service: str) -> list[LetterOfService]:
    """The last dead letters with the service's name as a JSON string in them, newest first."""
    cursor.execute(
        _LETTERS,
        {
            "newest": _LOOKED_THROUGH,
            "plain": json.dumps(service, ensure_ascii=False),
            "escaped": json.dumps(service),
            "limit": MOST_LETTERS,
        },
    )
    return [LetterOfService(*row) for row in cursor.fetchall()]
