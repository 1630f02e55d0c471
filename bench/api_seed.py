"""A database with a month of many services, as far as the tiers still hold it, for the bench of the API.

What a tier holds is asked of the product (`analytics_archive_old_data()`). Rows are laid out up to now; a database
that was kept is brought up to now in the same way, so that only what has happened since has to be written.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from psycopg2 import sql
from psycopg2.extensions import connection

from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.domain.windows import DAY, WINDOWS, Window
from bench import api_people
from bench.api_layout import (
    DAY_S,
    Slice,
    laid_out_until,
    lay_out,
    make_shapes,
    note_laid_out,
    slices,
)
from bench.api_raw import DENSE_S, RawEvents
from bench.api_traffic import MEAN_RATE
from bench.progress import Progress
from bench.site import Site

RAW: Final = "raw"
SPARSE_ROWS: Final = 500_000
SLICE_S: Final = {"1min": 3600, "5min": 4 * 3600, "1hour": DAY_S, "1day": DAY_S}
_OFFSETS: Final = """
INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES (%(topic)s, 1, 'bench');
INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset) VALUES (%(topic)s, 1, 0, 0)
"""
# Days that ended less than ten minutes ago are not merged yet, as with real workers.
_LAST_DUE: Final = (
    "SELECT extract(epoch FROM date_trunc('day', now() - interval '10 minutes', 'UTC'))::bigint"
)


@dataclass(slots=True)
class Seeded:
    """What was written in this run: rows by table, and the seconds it took to lay out the windows."""

    services: int
    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: float = 0.0
    bytes: int = 0

    @property
    def windows(self) -> int:
        """Rows of windows and days."""
        return sum(count for table, count in self.rows.items() if table != "analytics_events")

    @property
    def rate(self) -> float:
        """Window rows a second."""
        return self.windows / self.seconds if self.seconds else 0.0


def seed(site: Site, database: str, topic: str, services: int, progress: Progress) -> Seeded:
    """Make or bring up to date what the database holds; a new one ends with VACUUM, ANALYZE and a checkpoint."""
    seeded = Seeded(services)
    with contextlib.closing(site.connect(database)) as conn:
        is_new = not _is_seeded(conn)
        if is_new:
            Migrator(site.settings(database, topic)).up()
            with conn.cursor() as cur:
                cur.execute("SELECT analytics_archive_old_data()")
                cur.execute(_OFFSETS, {"topic": topic})
            make_shapes(conn, services)
            progress.say("made the days of which the months are laid out")
            api_people.fill(conn, topic)
        lay_out_windows(site, database, conn, seeded, progress)
        _write_raw(conn, topic, seeded)
        progress.say("raw events are there; cleaning up")
        with conn.cursor() as cur:
            if is_new:
                # As autovacuum would do it sooner or later, in the middle of the measurement.
                cur.execute("VACUUM (ANALYZE)")
            cur.execute("SELECT pg_database_size(current_database())")
            ((seeded.bytes,),) = cur.fetchall()
    site.checkpoint()
    return seeded


def _is_seeded(conn: connection) -> bool:
    with conn.cursor() as cur:
        cur.execute("SELECT to_regclass('bench_api.laid_out') IS NOT NULL")
        return bool(cur.fetchone() == (True,))


def kept_since(conn: connection) -> dict[str, int]:
    """For each tier the epoch second before which the product has archived."""
    with conn.cursor() as cur:
        cur.execute("SELECT tier, extract(epoch FROM archived_before)::bigint FROM retention_tiers")
        return dict(cur.fetchall())


def due_until(conn: connection, window: Window, now_s: int) -> int:
    """Up to where rows of a level are to be there."""
    if window is not DAY:
        return window.start_of(now_s) + window.seconds
    with conn.cursor() as cur:
        cur.execute(_LAST_DUE)
        ((due_s,),) = cur.fetchall()
    return int(due_s)


def note_level(conn: connection, window: Window, until_s: int) -> None:
    """The rows of a level are there up to `until_s`: the readers of days learn it, too."""
    note_laid_out(conn, window.name, until_s)
    if window is DAY:
        with conn.cursor() as cur:
            cur.execute("UPDATE daily_level SET marked_before = to_timestamp(%s)", (until_s,))


def lay_out_windows(
    site: Site,
    database: str,
    conn: connection,
    seeded: Seeded,
    progress: Progress,
    not_before_s: float = 0.0,
) -> None:
    """Rows of every level for what the tiers hold and is not there yet; `not_before_s`: nor for earlier than that."""
    held, there = kept_since(conn), laid_out_until(conn)
    began = time.monotonic()
    for window in (*WINDOWS, DAY):
        until_s = due_until(conn, window, int(time.time()))
        since_s = max(there.get(window.name, held[window.tier]), int(not_before_s))
        pieces = list(slices(window, since_s, until_s, SLICE_S[window.name]))
        for rows in _in_parallel(site, database, pieces):
            seeded.rows[window.table] += rows
            rate = seeded.windows / (time.monotonic() - began)
            progress.tick(f"{seeded.windows:,} windows laid out, {rate:,.0f} rows/s")
        note_level(conn, window, until_s)
    seeded.seconds = time.monotonic() - began
    progress.say(f"{seeded.windows:,} windows laid out, {seeded.rate:,.0f} rows/s")


def _in_parallel(site: Site, database: str, pieces: list[Slice]) -> Iterator[int]:
    """Rows of each piece, about in order, on a connection for each processor."""
    workers = max(1, min(len(pieces), len(os.sched_getaffinity(0))))
    idle = [site.connect(database) for _ in range(workers)]
    for conn in idle:
        with conn.cursor() as cur:
            # Rows of a seed that a crash would take are made anew, anyway.
            cur.execute("SET synchronous_commit = off; SET work_mem = '128MB'")

    def _one(piece: Slice) -> int:
        conn = idle.pop()
        try:
            return lay_out(conn, piece)
        finally:
            idle.append(conn)

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(_one, pieces)
    for conn in idle:
        conn.close()


def _write_raw(conn: connection, topic: str, seeded: Seeded) -> None:
    now_s = int(time.time())
    there = laid_out_until(conn).get(RAW)
    since_s = kept_since(conn)["hot"] if there is None else there
    dense_s = max(since_s, now_s - DENSE_S)
    share = SPARSE_ROWS / (DAY_S / 60 * MEAN_RATE * seeded.services)
    with conn.cursor() as cur:
        cur.execute("SELECT next_offset FROM kafka_offsets WHERE topic = %s", (topic,))
        ((next_offset,),) = cur.fetchall()
    events = RawEvents(seeded.services, next_offset, now_s)
    written = 0
    for start_s, end_s, part in ((since_s, dense_s, share), (dense_s, now_s, 1.0)):
        step_s = 3600 if part < 1.0 else 60
        for at in range(start_s, end_s, step_s):
            written += events.write(conn, at, min(at + step_s, end_s), part)
    seeded.rows["analytics_events"] += written
    store_offset(conn, topic, events.next_offset)
    note_laid_out(conn, RAW, now_s)


def store_offset(conn: connection, topic: str, next_offset: int) -> None:
    """What a worker writes beside its events: how far it is, and that nothing waits."""
    with conn.cursor() as cur:
        cur.execute(
            sql.SQL(
                """
                UPDATE kafka_offsets SET events_stored = %(next)s, next_offset = %(next)s, lag = 0,
                    lag_measured_at = now(), caught_up_at = now(), updated_at = now()
                WHERE topic = %(topic)s
                """
            ),
            {"next": next_offset, "topic": topic},
        )
