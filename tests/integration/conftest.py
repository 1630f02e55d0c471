"""The way from Kafka to the tables, an alert topic, and `stacklens` on a filled database: one for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.flush import prepare_connection
from analytics_service.entrypoints.cli.main import run as run_cli
from tests.client_programs import client_directory
from tests.clock_edges import clear_of_midnight
from tests.databases import Database
from tests.integration.alert_topic import AlertTopic, open_alert_topic
from tests.integration.backups import Program, fill
from tests.integration.missed_alerts import Recalculate, everything_is_stored
from tests.integration.whole_way import WholeWay, open_way
from tests.stack_fixtures import Topics


@pytest.fixture
def way(database: Database, topics: Topics, tmp_path: Path) -> Iterator[WholeWay]:
    """A database, topics, and the means to send messages and run workers between them."""
    with open_way(database, topics, tmp_path) as opened:
        yield opened


@pytest.fixture
def alerts(database: Database, topics: Topics, tmp_path: Path) -> Iterator[AlertTopic]:
    """An alert topic with notifiers' other sides on real sockets."""
    with open_alert_topic(database, topics, tmp_path) as opened:
        yield opened


@pytest.fixture
def same_day(database: Database, request: pytest.FixtureRequest) -> None:
    """No day ends during the test. Looked at once there is a database, which may take its time."""
    assert database
    clear_of_midnight(300.0 if request.node.get_closest_marker("slow") else 60.0)


@pytest.fixture
def connections(database: Database) -> Iterator[list[Connection]]:
    """Three, as flushes have them."""
    with contextlib.ExitStack() as closing:
        made = []
        for _ in range(3):
            connection = closing.enter_context(contextlib.closing(database.connect()))
            connection.autocommit = False
            prepare_connection(connection)
            made.append(connection)
        yield made


@pytest.fixture
def programs(database: Database) -> Path:
    """The client programs that fit the server."""
    return client_directory(database.stack)


@pytest.fixture
def stacklens(
    database: Database,
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Program:
    """The program, on the test's filled database."""
    env = {**database.env, "APP_ENV": "test", "PG_CLIENT_DIRECTORY": str(programs)}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # no .env there
    fill(database)
    return Program(tmp_path / "backups", database, monkeypatch, capsys)


@pytest.fixture
def recalculate(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Recalculate:
    """`stacklens recalculate` in this process, on a database in which everything produced is stored."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**database.env, "APP_ENV": "test"}.items():
        monkeypatch.setenv(name, value)
    everything_is_stored(database)

    def call(*arguments: str) -> tuple[int, str]:
        status = run_cli(["recalculate", *arguments])
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    return call


@pytest.fixture
def fake_pg_dump(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Put a shell script in the place of pg_dump; $REAL is the real one, and asked for its version it tells it."""

    def make(script: str) -> None:
        directory = tmp_path / "fake"
        directory.mkdir()
        real = programs / "pg_dump"
        text = f'#!/bin/sh\nREAL={real}\n[ "$1" = --version ] && exec "$REAL" --version\n{script}\n'
        (directory / "pg_dump").write_text(text)
        (directory / "pg_dump").chmod(0o755)
        monkeypatch.setenv("PG_CLIENT_DIRECTORY", str(directory))

    return make
