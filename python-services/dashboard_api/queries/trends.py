"""Error rates and p99 of every service window by window; those of windows that are over are read once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from analytics_service.domain.windows import Window
from dashboard_api.queries.reuse import Mark, read_marks
from dashboard_api.ranges import Piece

Points = tuple[list[float | None], list[float | None]]
"""Error rates and p99, window by window, a gap being None."""

_ROWS = sql.SQL(
    """
    SELECT service, extract(epoch FROM timestamp)::bigint, error_rate, latency_p99_ms FROM {table}
    WHERE timestamp >= %(since)s AND timestamp < %(until)s {of_services}
    """
)


class Trends:
    """Keeps the points of windows that are over while their rows stay as they are; for one thread at a time."""

    def __init__(self) -> None:
        self._over: Piece | None = None
        self._points: dict[str, tuple[Mark, Points]] = {}

    def read(self, cursor: Cursor, window: Window, first_s: int, now_s: int) -> dict[str, Points]:
        """For each service with traffic in them the points of the windows from `first_s` through the one at `now_s`."""
        current_s = window.start_of(now_s)
        over = Piece(window, first_s, current_s)
        if over != self._over:
            self._over, self._points = over, {}
        marks = {service: mark[0] for service, mark in read_marks(cursor, [over], None).items()}
        held = self._points
        changed = [
            name for name, mark in marks.items() if name not in held or held[name][0] != mark
        ]
        if changed:
            points = _by_service(_rows(cursor, over, changed), over)
            held |= {name: (marks[name], points[name]) for name in changed}
        live = Piece(window, current_s, current_s + window.seconds)
        last = _by_service(_rows(cursor, live, None), live)
        nothing: Points = ([None], [None])
        gaps: Points = ([None] * _length(over), [None] * _length(over))
        found = {}
        for name in marks.keys() | last.keys():
            rates, latencies = held[name][1] if name in marks else gaps
            rate, latency = last.get(name, nothing)
            found[name] = ([*rates, *rate], [*latencies, *latency])
        return found


def _length(piece: Piece) -> int:
    return (piece.end_s - piece.start_s) // piece.window.seconds


def _rows(cursor: Cursor, piece: Piece, services: list[str] | None) -> list[tuple[Any, ...]]:
    query = _ROWS.format(
        table=sql.Identifier(piece.window.table),
        of_services=sql.SQL("" if services is None else "AND service = ANY(%(services)s)"),
    )
    since, until = from_epoch_s(piece.start_s), from_epoch_s(piece.end_s)
    cursor.execute(query, {"since": since, "until": until, "services": services})
    return cursor.fetchall()


def _by_service(rows: Iterable[Sequence[Any]], piece: Piece) -> dict[str, Points]:
    points: dict[str, Points] = {}
    length = _length(piece)
    for service, start_s, error_rate, p99_ms in rows:
        rates, latencies = points.setdefault(service, ([None] * length, [None] * length))
        place = (start_s - piece.start_s) // piece.window.seconds
        # Shorter to send, and finer than can be drawn.
        rates[place] = round(error_rate, 3)
        latencies[place] = None if p99_ms is None else round(p99_ms, 1)
    return points
