"""One flush: raw rows, window rows, dead letters and offsets in a single transaction.

Order inside the transaction: retention limits (shared lock), offsets (compare and set, partitions ascending), replayed
dead letters (ascending), raw rows and dead letters, window merges (1min, 5min, 1hour), markers of days that are over.
Everybody who locks these tables keeps to that order.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale.copy_chunks import copy_in
from analytics_service.adapters.timescale.daily import invalidate_days
from analytics_service.adapters.timescale.dead_letters import insert_dead_letters
from analytics_service.adapters.timescale.event_copy_text import EVENT_COLUMNS
from analytics_service.adapters.timescale.kept_rows import KeptRows
from analytics_service.adapters.timescale.offsets import OffsetMove, move_offsets
from analytics_service.adapters.timescale.prepared import Prepared, copy_chunks
from analytics_service.adapters.timescale.replays import (
    lock_pending,
    mark_failed_again,
    mark_replayed,
)
from analytics_service.adapters.timescale.window_rows import prepare_stage
from analytics_service.adapters.timescale.window_store import merge_windows
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window
from analytics_service.ingest.work import Work

# A worker frozen in the middle of a transaction must not hold up the others for longer than this. Flushes may lose the
# last moments of a crashed database: the offsets share the transaction, so what is lost is simply read again.
_SESSION = """
    SET synchronous_commit = off; SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '10s';
    SET lock_timeout = '5s'; SET TimeZone = 'UTC'; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off
"""
_COPY_EVENTS = sql.SQL("COPY analytics_events ({}) FROM STDIN").format(
    sql.SQL(", ").join(map(sql.Identifier, EVENT_COLUMNS))
)


@dataclass(frozen=True, slots=True)
class FlushResult:
    """What was committed: events, raw rows (fewer when some lie below the hot tier), window rows, letters.

    `replays_stored` of the events and `replays_failed` of the letters were replays of earlier dead letters.
    """

    events: int
    raw_rows: int
    window_rows: int
    dead_letters: int
    below_tier: Mapping[str, int] = field(default_factory=dict)
    replays_stored: int = 0
    replays_failed: int = 0


def prepare_connection(conn: connection) -> None:
    """Settings and staging table of a connection that is used for flushes only."""
    with conn.cursor() as cur:
        cur.execute(_SESSION)
        prepare_stage(cur)
    conn.commit()


def flush(
    conn: connection,
    work: Work,
    prepared: Prepared,
    windows: Sequence[Window],
    kept: KeptRows | None = None,
) -> FlushResult:
    """Write `work` and advance its offsets, all or nothing; the caller commits or rolls back.

    `prepared` was made of `work`; `kept` are window rows of earlier flushes, told by the caller how this one ended.
    Raises OwnershipLost when another worker moved an offset, ConcurrentInsert when window rows keep appearing,
    ReplaysSettled when a replayed dead letter is not pending any more, and psycopg2 errors.
    """
    session = work.session
    with conn.cursor() as cur:
        limits = _retention_limits(cur)
        move_offsets(cur, session.topic, session.incarnation, _moves(work))
        replays = work.replays()
        if replays:
            lock_pending(cur, replays)
        below = dict.fromkeys(limits, 0)
        raw_rows, chunks = _allowed_rows(work, prepared, limits["hot"], below)
        copy_in(cur, _COPY_EVENTS, chunks)
        letters = [letter for part in work.parts for letter in part.letters]
        fresh = [letter for letter in letters if letter.replay_of is None]
        insert_dead_letters(cur, session.topic, session.incarnation, fresh)
        failed_again = [letter for letter in letters if letter.replay_of is not None]
        mark_failed_again(cur, failed_again)
        stored_again = {replay[0] for replay in replays} - {d.replay_of for d in failed_again}
        mark_replayed(cur, sorted(stored_again))
        merges = [
            (window, _at_or_after(prepared.cells[window.name], limits[window.tier]))
            for window in windows
        ]
        _count_below(merges, prepared, below)
        window_rows = merge_windows(cur, merges, kept)
        _, coarsest = merges[-1]  # days are merged from its rows
        invalidate_days(cur, coarsest, time.time())
        # Otherwise it is told once a second at most how many rows are dead, and tables grow meanwhile: see `vacuuming`.
        cur.execute("SELECT pg_stat_force_next_flush()")
        return FlushResult(
            work.events,
            raw_rows,
            window_rows,
            len(letters),
            below,
            len(stored_again),
            len(failed_again),
        )


def _allowed_rows(
    work: Work, prepared: Prepared, limit_us: int | None, below: dict[str, int]
) -> tuple[int, Sequence[memoryview]]:
    """The raw rows that the hot tier may still hold; the others are counted."""
    if limit_us is None:
        return prepared.raw_rows, prepared.chunks
    below["hot"] = int(np.count_nonzero(prepared.times_us < limit_us))
    if not below["hot"]:
        return prepared.raw_rows, prepared.chunks
    if below["hot"] == prepared.raw_rows:
        return 0, ()
    return prepared.raw_rows - below["hot"], copy_chunks(work, limit_us)


def _retention_limits(cur: cursor) -> dict[str, int | None]:
    """`archived_before` of each tier in epoch microseconds (None: nothing archived), locked against archiving.

    The table lock goes with those of other flushes and excludes archiving, which takes EXCLUSIVE; unlike row locks it
    writes nothing, and unlike an advisory lock a read-only role cannot take it.
    """
    cur.execute("LOCK TABLE retention_tiers IN ROW SHARE MODE")
    cur.execute(
        """
        SELECT tier,
            CASE WHEN isfinite(archived_before) THEN (extract(epoch FROM archived_before) * 1000000)::bigint END
        FROM retention_tiers
        """
    )
    return dict(cur.fetchall())


def _moves(work: Work) -> list[OffsetMove]:
    moves: dict[int, OffsetMove] = {}
    for part in work.parts:
        before = moves.get(part.partition)
        moves[part.partition] = OffsetMove(
            partition=part.partition,
            expected=before.expected if before else work.session.committed[part.partition],
            next_offset=part.next_offset,
            lag=part.lag,
            stored=(before.stored if before else 0) + len(part.events),
            dead_lettered=(before.dead_lettered if before else 0) + len(part.letters),
            newest_ms=max(before.newest_ms if before else 0, part.newest_ms),
        )
    return list(moves.values())


def _at_or_after(cells: Mapping[Cell, Delta], limit_us: int | None) -> Mapping[Cell, Delta]:
    """The cells that the tier may still hold."""
    if limit_us is None:
        return cells
    return {cell: delta for cell, delta in cells.items() if cell[1] * 1_000_000 >= limit_us}


def _count_below(
    merges: Sequence[tuple[Window, Mapping[Cell, Delta]]],
    prepared: Prepared,
    below: dict[str, int],
) -> None:
    """Count the events of cells that were left out, once a tier and event: those of its finest window."""
    counted: set[str] = set()
    for window, kept in merges:
        cells = prepared.cells[window.name]
        if len(kept) < len(cells) and window.tier not in counted:
            below[window.tier] += sum(
                delta.total for cell, delta in cells.items() if cell not in kept
            )
        counted.add(window.tier)
