"""The way from Kafka to the tables, one for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.flush import prepare_connection
from tests.databases import Database
from tests.integration.alert_topic import AlertTopic, open_alert_topic
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
