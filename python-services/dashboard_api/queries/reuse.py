"""Merging the rows of many services over a range, reading only those that have changed since the last time.

One statement reads a mark for each service and piece of the range: how many rows, when the last was written, and a
sum that changes when any of them is written again. Where marks are as they were, what was merged then is used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from dashboard_api.kept_parts import KeptParts
from dashboard_api.merging import Part, RowMerger
from dashboard_api.queries.columns import FIGURE_COLUMNS
from dashboard_api.queries.merged import left_out, select_pieces, state_columns, streamed
from dashboard_api.ranges import Piece

Mark = tuple[Any, ...]
Marks = Mapping[str, Mapping[int, Mark]]
"""For each service, of the pieces (by their places) that it has rows in, the mark."""

_MARKED = sql.SQL("{place} AS place, held.service, held.timestamp, held.aggregated_at")
# Every write sets aggregated_at to the clock: the sum tells of any, the count of rows that came or went.
_MARKS = sql.SQL(
    """
    SELECT service, place, count(*), max(aggregated_at), sum(aggregated_at - timestamp)
    FROM ({rows}) AS marked GROUP BY service, place
    """
)


def merge_services(
    cursor: Cursor,
    kept: KeptParts,
    pieces: Sequence[Piece],
    services: list[str] | None,
    figures: Collection[str] = FIGURE_COLUMNS,
) -> dict[str, RowMerger]:
    """Per service with traffic in the pieces the union of its rows, as far as `figures` need it."""
    with kept.turn if services is None else nullcontext():
        divided = last_apart(pieces)
        marks = read_marks(cursor, divided, services)
        return _Merge(cursor, kept, tuple(divided), left_out(figures), figures).of(marks)


def last_apart(pieces: Sequence[Piece]) -> list[Piece]:
    """The same, the last window in a piece of its own: it is often written to, those before it seldom."""
    if not pieces:
        return []
    last = pieces[-1]
    begins = last.end_s - last.window.seconds
    if begins <= last.start_s:
        return list(pieces)
    return [*pieces[:-1], replace(last, end_s=begins), replace(last, start_s=begins)]


def read_marks(cursor: Cursor, pieces: Sequence[Piece], services: list[str] | None) -> Marks:
    """The marks of all services (or of `services`) with rows in the pieces."""
    found: dict[str, dict[int, Mark]] = {}
    selects, values = [], []
    for place, piece in enumerate(pieces):
        select, more = select_pieces([piece], _MARKED.format(place=sql.Literal(place)), services)
        selects.append(select)
        values += more
    if selects:
        cursor.execute(_MARKS.format(rows=sql.SQL(" UNION ALL ").join(selects)), values)
        for service, place, *mark in cursor.fetchall():
            found.setdefault(service, {})[place] = tuple(mark)
    return found


@dataclass(frozen=True, slots=True)
class _Merge:
    """One merge: all pieces but the last are kept together, too."""

    cursor: Cursor
    kept: KeptParts
    pieces: tuple[Piece, ...]
    without: tuple[str, ...]
    figures: Collection[str]

    def of(self, marks: Marks) -> dict[str, RowMerger]:
        """The unions by service."""
        last = len(self.pieces) - 1
        mergers: dict[str, RowMerger] = {}
        parts: dict[tuple[int, str], Part] = {}
        to_read: dict[int, list[str]] = {}
        to_join: list[str] = []
        for service, of_place in marks.items():
            mergers[service] = RowMerger()
            before = self.kept.get(self._key(service), self._mark(of_place))
            if before is not None:
                mergers[service].add_part(before)
            else:
                to_join.append(service)
            for place, mark in of_place.items():
                if before is not None and place != last:
                    continue
                part = self.kept.get(self._key(service, place), mark)
                if part is None:
                    to_read.setdefault(place, []).append(service)
                else:
                    parts[place, service] = part
        for (place, service), merger in self._read(to_read).items():
            part = parts[place, service] = merger.part()
            self.kept.put(self._key(service, place), marks[service][place], part)
        for service in to_join:
            together = _joined([parts.get((place, service)) for place in range(last)])
            self.kept.put(self._key(service), self._mark(marks[service]), together)
            mergers[service].add_part(together)
        for (place, service), part in parts.items():
            if place == last:
                mergers[service].add_part(part)
        return mergers

    def _read(self, to_read: Mapping[int, list[str]]) -> dict[tuple[int, str], RowMerger]:
        found: dict[tuple[int, str], RowMerger] = {}
        for place, service, written_at, *values in self._rows(to_read):
            merger = found.get((place, service))
            if merger is None:
                merger = found[place, service] = RowMerger()
            merger.add(written_at, values)
        return found

    def _rows(self, to_read: Mapping[int, list[str]]) -> Iterator[tuple[Any, ...]]:
        selects: list[sql.Composable] = []
        values: list[object] = []
        for place, services in to_read.items():
            columns = sql.SQL("{}, {}").format(sql.Literal(place), state_columns(self.figures))
            select, more = select_pieces([self.pieces[place]], columns, services)
            selects.append(select)
            values += more
        return streamed(self.cursor.connection, (sql.SQL(" UNION ALL ").join(selects), values))

    def _key(self, service: str, place: int | None = None) -> tuple[Any, ...]:
        pieces = self.pieces[:-1] if place is None else self.pieces[place : place + 1]
        return self.without, pieces, service

    def _mark(self, of_place: Mapping[int, Mark]) -> tuple[Mark | None, ...]:
        return tuple(of_place.get(place) for place in range(len(self.pieces) - 1))


def _joined(parts: Sequence[Part | None]) -> Part:
    merger = RowMerger()
    for part in parts:
        if part is not None:
            merger.add_part(part)
    return merger.part()
