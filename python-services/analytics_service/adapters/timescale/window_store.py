"""Merging deltas into window rows that several workers write.

Rows are locked in the order (service, timestamp), merged here (a HyperLogLog does not merge in plain SQL) and written
back. Rows that this worker wrote last and nobody else writes need not be locked before: see `kept_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.ahead import Ahead
from analytics_service.adapters.timescale.kept_rows import KeptRows, Mark
from analytics_service.adapters.timescale.window_rows import (
    ROWS_AT_ONCE,
    ConcurrentInsert,
    Row,
    lock_rows,
    look_at_rows,
    put_lines,
    row_lines,
    server_time_us,
    write_rows,
)
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window

# Rows that others make at the same moment are there when one looks again; each worker may be ahead with another one.
MERGE_ATTEMPTS = 5
# From so many rows on a thread that prepares them while others are written is worth its while.
MANY_ROWS = 1_500
_PIECES_AHEAD = 4


def merge_windows(
    cur: cursor,
    merges: Sequence[tuple[Window, Mapping[Cell, Delta]]],
    kept: KeptRows | None = None,
    many_rows: int = MANY_ROWS,
) -> int:
    """`merge_window` for each of `merges`; returns how many rows were written.

    Many rows that are trusted to be what is kept are merged and formatted in another thread while the database writes
    those before them, those of the windows before included. Should one of them turn out to be another worker's, all of
    it is taken back and done one window after the other; nothing is kept then.
    """
    rows = sum(len(cells) for _, cells in merges)
    if kept is not None and kept.is_trusted and rows >= many_rows:
        cur.execute("SAVEPOINT merge_windows")
        try:
            _merge_ahead(cur, merges, kept)
        except ConcurrentInsert:
            kept.doubt()
            cur.execute("ROLLBACK TO SAVEPOINT merge_windows")
        else:
            cur.execute("RELEASE SAVEPOINT merge_windows")
            return rows
    return sum(merge_window(cur, window, cells, kept) for window, cells in merges)


def _merge_ahead(
    cur: cursor, merges: Sequence[tuple[Window, Mapping[Cell, Delta]]], kept: KeptRows
) -> None:
    now_us = server_time_us(cur)
    # Nothing is locked here: locks are taken in the order of the windows, by what is written.
    merged = [
        (window, cells, _trusted(cur, window, sorted(cells), kept)) for window, cells in merges
    ]

    def texts() -> Iterator[memoryview]:
        for _, cells, rows in merged:
            for at in range(0, len(rows), ROWS_AT_ONCE):
                piece = rows[at : at + ROWS_AT_ONCE]
                for row in piece:
                    row.state.merge_from(cells[row.key])
                yield row_lines(piece, now_us)

    with Ahead(texts(), _PIECES_AHEAD) as ahead:
        for window, _, rows in merged:
            pieces = -(-len(rows) // ROWS_AT_ONCE)
            if pieces:
                put_lines(cur, window, islice(ahead, pieces), len(rows), now_us)
    for window, _, rows in merged:
        for row in rows:
            row.state.was_written()
            kept.written(window, row.key, Mark(row.revision + 1, now_us), row.state)


def _trusted(cur: cursor, window: Window, keys: Sequence[Cell], kept: KeptRows) -> list[Row]:
    """A row for each of `keys`, in their order: as it is kept, as the table has it, or a new one; none is locked."""
    held = _kept_rows(window, keys, kept)
    held |= look_at_rows(cur, window, [key for key in keys if key not in held])
    return [held.get(key) or Row(key, Delta()) for key in keys]


def merge_window(
    cur: cursor, window: Window, cells: Mapping[Cell, Delta], kept: KeptRows | None = None
) -> int:
    """As `merge_cells`, but where that raises ConcurrentInsert, what it has written is taken back and it looks again.

    So workers that reach a new minute together need not take back their whole transactions, raw rows included. Raises
    ConcurrentInsert when that happens MERGE_ATTEMPTS times.
    """
    for attempt in range(1, MERGE_ATTEMPTS + 1):
        cur.execute("SAVEPOINT merge_window")
        try:
            rows = merge_cells(cur, window, cells, kept)
        except ConcurrentInsert:
            if attempt == MERGE_ATTEMPTS:
                raise
            cur.execute("ROLLBACK TO SAVEPOINT merge_window")
        else:
            cur.execute("RELEASE SAVEPOINT merge_window")
            return rows
    raise AssertionError("the last attempt returns or raises")


def merge_cells(
    cur: cursor, window: Window, cells: Mapping[Cell, Delta], kept: KeptRows | None = None
) -> int:
    """Merge `cells` into the rows of `window`; returns how many rows were written.

    States found in `kept` are not read; the caller tells it how the transaction ended. Raises ConcurrentInsert when
    another transaction created one of the rows meanwhile, or changed one that was trusted. Does not commit.
    """
    if not cells:
        return 0
    keys = sorted(cells)
    held = _held(cur, window, keys, kept)
    rows = []
    for key in keys:
        # A cell of the flush may be that of other windows, too, and is needed again should the flush be repeated.
        row = held.get(key) or Row(key, Delta())
        row.state.merge_from(cells[key])
        rows.append(row)
    try:
        written_us = write_rows(cur, window, rows)
    except ConcurrentInsert:
        if kept is not None and any(row.written_us is not None for row in rows):
            kept.doubt()
        raise
    if kept is not None:
        for row in rows:
            row.state.was_written()
            kept.written(window, row.key, Mark(row.revision + 1, written_us), row.state)
    return len(rows)


def _held(
    cur: cursor, window: Window, keys: Sequence[Cell], kept: KeptRows | None
) -> dict[Cell, Row]:
    """Those of `keys` that have a row: locked, or kept and trusted to be so still, which `write_rows` makes sure of."""
    if kept is None or not kept.is_trusted:
        return lock_rows(cur, window, keys, kept)
    held = _kept_rows(window, keys, kept)
    others = [key for key in keys if key not in held]
    return held | lock_rows(cur, window, others)


def _kept_rows(window: Window, keys: Sequence[Cell], kept: KeptRows) -> dict[Cell, Row]:
    """Those of `keys` that are kept, taken from there."""
    held = {}
    for key, mark in zip(keys, kept.marks(window, keys), strict=True):
        if mark is not None:
            held[key] = Row(key, kept.take(window, key), mark.revision, mark.written_us)
    return held
