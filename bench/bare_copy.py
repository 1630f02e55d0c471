"""The yardstick: one plain COPY of the same raw rows into the same hypertable with the same index, and nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql

from analytics_service.adapters.timescale.event_copy_text import EVENT_COLUMNS
from analytics_service.adapters.timescale.migrations import Migrator
from bench.errors import WrongResult
from bench.site import Site

COPY_BYTES = 1 << 18  # as in the worker's flushes


@dataclass(frozen=True, slots=True)
class CopyResult:
    """One bare COPY, commit included."""

    rows: int
    seconds: float
    session_cpu_s: float | None

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def dump_raw_rows(site: Site, database: str, file: Path) -> None:
    """The raw rows as COPY text, columns as the worker writes them."""
    conn = site.connect(database)
    with file.open("wb") as out, conn.cursor() as cur:
        cur.copy_expert(
            _copy("COPY (SELECT {} FROM analytics_events) TO STDOUT"), out, size=COPY_BYTES
        )
    conn.close()


def run_bare_copy(site: Site, database: str, rows: int, file: Path) -> CopyResult:
    """One COPY of `file` into the hypertable of an empty database. Raises WrongResult when rows are missing."""
    Migrator(site.settings(database, "none")).up()
    site.checkpoint()
    conn = site.connect(database)
    with file.open("rb") as text, conn.cursor() as cur:
        cur.execute("SET synchronous_commit = off")  # as in the worker's flushes
        cpu = site.database_cpu_seconds(conn.info.backend_pid)
        began = time.perf_counter()
        cur.copy_expert(_copy("COPY analytics_events ({}) FROM STDIN"), text, size=COPY_BYTES)
        seconds = time.perf_counter() - began
        cpu_after = site.database_cpu_seconds(conn.info.backend_pid)
        if cur.rowcount != rows:
            raise WrongResult(f"the bare COPY took {cur.rowcount} rows of {rows}")
    conn.close()
    used = None if cpu is None or cpu_after is None else cpu_after - cpu
    return CopyResult(rows, seconds, used)


def _copy(statement: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.SQL(", ").join(map(sql.Identifier, EVENT_COLUMNS)))
