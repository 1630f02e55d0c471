"""A filled database, `stacklens` on it in this process, and whether what came back can be used."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from analytics_service.entrypoints.cli.main import run
from tests.databases import Database

NAME = re.compile(r"test_[0-9a-f]{12}_\d{8}_\d{6}\.sql\.gz")
DAYS = 3
ROWS_A_DAY = 50


def fill(database: Database) -> None:
    """Rows over some days (so chunks), letters, an alert, and a moved sequence."""
    for day in range(DAYS):
        at = datetime.now(UTC) - timedelta(days=day)
        database.execute(
            """
            INSERT INTO analytics_events
                (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset, message, latency_ms)
            SELECT %s, 'service', 'info', 1, 0, n, E'tab\\t back\\\\slash \\\\. ü ' || n, n / 7.0
            FROM generate_series(1, %s) AS n
            """,
            at,
            ROWS_A_DAY,
        )
        for table in ("1min", "5min", "1hour"):
            database.execute(
                f"INSERT INTO analytics_metrics_{table} (timestamp, service, users_sketch)"  # noqa: S608
                " VALUES (%s, 's', '\\x00ff')",
                at,
            )
    database.execute(
        """
        INSERT INTO analytics_dead_letters
            (topic, topic_incarnation, kafka_partition, kafka_offset, reason, raw_value)
        SELECT 'events', 1, 0, n, 'invalid_json', '\\x0001fe'::bytea FROM generate_series(1, 7) AS n
        """
    )
    database.execute(
        "INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES ('events', 1, 'id')"
    )
    database.execute(
        """
        INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset)
        VALUES ('events', 1, 0, 42)
        """
    )


@dataclass
class Program:
    """`stacklens` on one database after the other, in this process."""

    directory: Path
    database: Database
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, on: Database | None = None) -> tuple[int, str, str]:
        """Run a command; (status, output, errors)."""
        self.monkeypatch.setenv("DB_NAME", (on or self.database).name)
        self.capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def backup(self, *arguments: str | Path) -> tuple[int, str, str]:
        """`stacklens backup` into the directory."""
        return self("backup", "--directory", self.directory, *arguments)

    def files(self) -> list[str]:
        """What is in the directory, hidden files aside."""
        if not self.directory.exists():
            return []
        return sorted(p.name for p in self.directory.iterdir() if not p.name.startswith("."))

    def taken(self) -> Path:
        """Take a backup that must succeed; its file."""
        status, _, errors = self.backup()
        assert status == 0, errors
        return self.directory / self.files()[-1]


def usable(database: Database) -> None:
    """Rows of new days find a chunk, the reader reads and does not write, and nothing is pending."""
    for table in ("analytics_events", "analytics_metrics_1min"):
        extra = ", level, topic_incarnation, kafka_partition, kafka_offset"
        values = ", 'info', 9, 9, 9"
        if table != "analytics_events":
            extra = values = ""
        database.execute(
            f"INSERT INTO {table} (timestamp, service{extra}) VALUES (now() - interval '20 days', 'new'{values})"  # noqa: S608
        )
        assert database.rows(f"SELECT count(*) FROM ONLY {table}") == [(0,)]  # noqa: S608
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE stacklens_reader")
        cursor.execute("SELECT count(*) FROM analytics_events")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM analytics_events")
    assert database.rows("SHOW timescaledb.restoring") == [("off",)]
