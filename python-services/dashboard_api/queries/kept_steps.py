"""Steps of series of which only those are read whose rows have changed since they were read before.

Steps that are over seldom change: with each request come their marks, and the rows of those alone whose mark is
another one than that of what is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from dashboard_api.kept_parts import Figures, KeptParts
from dashboard_api.merging import RowMerger
from dashboard_api.queries.columns import names
from dashboard_api.queries.merged import select_pieces, state_columns, streamed, with_merged_days
from dashboard_api.ranges import Piece
from dashboard_api.steps import Steps

MOST_RUNS = 4
"""Changed steps are read in so many runs of neighbours; if there are more, with all that lies between them."""

_START = (
    "extract(epoch FROM date_bin(make_interval(secs => {step}), held.timestamp, 'epoch'))::bigint"
)
_STEP = sql.SQL(_START + ", {state}")
_MARKED = sql.SQL(_START + " AS start_s, held.service, held.timestamp, held.aggregated_at")
# Every write sets aggregated_at to the clock: the sum tells of any, the count of rows that came or went.
_MARKS = sql.SQL(
    """
    SELECT service, start_s, count(*), max(aggregated_at), sum(aggregated_at - timestamp)
    FROM ({rows}) AS marked GROUP BY service, start_s
    """
)
# As every write counts the revision up, and that costs less to add up.
_WINDOW_MARKS = sql.SQL(
    """
    SELECT extract(epoch FROM timestamp)::bigint, count(*), max(aggregated_at), sum(revision)
    FROM {table} WHERE timestamp >= %s AND timestamp < %s GROUP BY timestamp
    """
)
_WINDOWS = sql.SQL(
    """
    SELECT extract(epoch FROM timestamp)::bigint, service, {columns}
    FROM {table} WHERE timestamp >= %s AND timestamp < %s AND timestamp = ANY(%s)
    """
)


class TooManyRows(Exception):
    """The steps are made of more rows than allowed."""


def merged_steps(
    cursor: Cursor,
    kept: KeptParts,
    steps: Steps,
    services: list[str] | None,
    metrics: Sequence[str],
    most_rows: int,
) -> Iterator[tuple[Any, ...]]:
    """Service, start (epoch seconds) and `metrics` of each step with traffic, merged from its windows' sketches.

    Raises TooManyRows when they have more than `most_rows`.
    """
    (piece,) = with_merged_days(cursor, [Piece(steps.window, steps.start_s, steps.end_s)])
    marks = _marks_of_steps(cursor, piece, steps.step_s, services)
    _check(sum(count for count, *_ in marks.values()), most_rows)
    changed: list[tuple[str, int]] = []
    for step, mark in marks.items():
        found = kept.figures.get(_key(steps, metrics, step), mark)
        if found is None:
            changed.append(step)
        else:
            yield (*step, *found[0])
    for step, values in _merge(cursor, piece, steps.step_s, changed, metrics).items():
        kept.figures.put(_key(steps, metrics, step), marks[step], (values,))
        yield (*step, *values)


def stored_windows(
    cursor: Cursor, kept: KeptParts, steps: Steps, metrics: Sequence[str], most_rows: int
) -> Iterator[tuple[int, Figures]]:
    """For each window with traffic its start (epoch seconds) and, of each service in it, the name and `metrics`.

    Raises TooManyRows when they have more than `most_rows`.
    """
    table = sql.Identifier(steps.window.table)
    span = (from_epoch_s(steps.start_s), from_epoch_s(steps.end_s))
    cursor.execute(_WINDOW_MARKS.format(table=table), span)
    marks = {start_s: tuple(mark) for start_s, *mark in cursor.fetchall()}
    _check(sum(count for count, *_ in marks.values()), most_rows)
    changed = []
    for start_s, mark in marks.items():
        found = kept.figures.get(_key(steps, metrics, start_s), mark)
        if found is None:
            changed.append(start_s)
        else:
            yield start_s, found
    if changed:
        span = (from_epoch_s(min(changed)), from_epoch_s(max(changed) + steps.step_s))
        query = _WINDOWS.format(columns=names(metrics), table=table)
        cursor.execute(query, (*span, [from_epoch_s(start_s) for start_s in changed]))
        rows: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for start_s, *row in cursor.fetchall():
            rows[start_s].append(tuple(row))
        for start_s, found_rows in rows.items():
            kept.figures.put(_key(steps, metrics, start_s), marks[start_s], tuple(found_rows))
            yield start_s, tuple(found_rows)


def runs(starts_s: Collection[int], step_s: int, most: int = MOST_RUNS) -> list[tuple[int, int]]:
    """Spans [begin, end) that the steps that begin at `starts_s` lie in, oldest first: neighbours in one."""
    found: list[tuple[int, int]] = []
    for start_s in sorted(set(starts_s)):
        if found and found[-1][1] == start_s:
            found[-1] = (found[-1][0], start_s + step_s)
        else:
            found.append((start_s, start_s + step_s))
    return found if len(found) <= most else [(found[0][0], found[-1][1])]


def _marks_of_steps(
    cursor: Cursor, piece: Piece, step_s: int, services: list[str] | None
) -> dict[tuple[str, int], tuple[Any, ...]]:
    marked = _MARKED.format(step=sql.Literal(step_s))
    rows, values = select_pieces([piece], marked, services)
    cursor.execute(_MARKS.format(rows=rows), values)
    return {(service, start_s): tuple(mark) for service, start_s, *mark in cursor.fetchall()}


def _merge(
    cursor: Cursor,
    piece: Piece,
    step_s: int,
    changed: Collection[tuple[str, int]],
    metrics: Sequence[str],
) -> dict[tuple[str, int], tuple[Any, ...]]:
    """The figures of the changed steps of `piece`."""
    wanted = set(changed)
    spans = runs([start_s for _, start_s in wanted], step_s)
    pieces = [replace(piece, start_s=start_s, end_s=end_s) for start_s, end_s in spans]
    columns = _STEP.format(step=sql.Literal(step_s), state=state_columns(metrics))
    services = sorted({service for service, _ in wanted})
    mergers: dict[tuple[str, int], RowMerger] = {}
    rows: Iterable[tuple[Any, ...]] = streamed(
        cursor.connection, select_pieces(pieces, columns, services)
    )
    for start_s, service, written_at, *values in rows:
        step = (service, start_s)
        if step in wanted:
            mergers.setdefault(step, RowMerger()).add(written_at, values)
    found = {}
    for step, merger in mergers.items():
        figures = merger.figures()
        found[step] = tuple(figures[name] for name in metrics)
    return found


def _key(steps: Steps, metrics: Sequence[str], of: object) -> tuple[Any, ...]:
    return steps.window.name, steps.step_s, tuple(metrics), of


def _check(rows: int, most_rows: int) -> None:
    if rows > most_rows:
        raise TooManyRows
