"""Counts over any range, added up by the database: no sketch is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from dashboard_api.queries.merged import select_pieces
from dashboard_api.ranges import Plan

_COUNTED = sql.SQL("held.service, held.total_requests, held.failed_requests, held.latency_p99_ms")
_COUNTS = sql.SQL(
    """
    SELECT service, sum(total_requests)::bigint, sum(failed_requests)::bigint, max(latency_p99_ms)
    FROM ({rows}) AS counted GROUP BY service
    """
)
_MARKED = sql.SQL("{mark} AS mark, held.service, held.total_requests, held.failed_requests")
_COUNTS_BY_MARK = sql.SQL(
    """
    SELECT mark, service, sum(total_requests)::bigint, sum(failed_requests)::bigint
    FROM ({rows}) AS counted GROUP BY mark, service
    """
)


@dataclass(frozen=True, slots=True)
class Counts:
    """A service's requests in a range; `highest_p99_ms` is the highest of its windows, None: none has one."""

    service: str
    total: int
    failed: int
    highest_p99_ms: float | None = None

    @property
    def error_rate(self) -> float:
        """Failed requests in percent of all."""
        return 100.0 * self.failed / self.total if self.total else 0.0


def count_range(cursor: Cursor, plan: Plan, services: list[str] | None = None) -> list[Counts]:
    """The counts of every service with traffic in the plan's range."""
    rows, values = select_pieces(plan.pieces, _COUNTED, services)
    if not values:
        return []
    cursor.execute(_COUNTS.format(rows=rows), values)
    return [Counts(*row) for row in cursor.fetchall()]


def count_plans(
    cursor: Cursor, plans: Mapping[str, Plan], services: list[str] | None
) -> dict[str, dict[str, tuple[int, int]]]:
    """For each service, and each plan by its name, total and failed requests; one statement reads all."""
    selects: list[sql.Composable] = []
    values: list[object] = []
    for name, plan in plans.items():
        marked = _MARKED.format(mark=sql.Literal(name))
        rows, more = select_pieces(plan.pieces, marked, services)
        if more:
            selects.append(rows)
            values += more
    found: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    if selects:
        together = sql.SQL(" UNION ALL ").join(selects)
        cursor.execute(_COUNTS_BY_MARK.format(rows=together), values)
        for name, service, total, failed in cursor.fetchall():
            found[service][name] = (total, failed)
    return found


def totals_of(parts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The sum of (total, failed) pairs."""
    return sum(total for total, _ in parts), sum(failed for _, failed in parts)
