"""A database of a stack, seen as its superuser."""

from __future__ import annotations

import contextlib
import select
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from devstack.api import Stack

# Connections at rest, by database. Making one costs the two sides 10 ms of processor, and tests look often.
_resting: defaultdict[tuple[str, int, str], list[Connection]] = defaultdict(list)
_resting_lock = threading.Lock()


@dataclass(frozen=True)
class Database:
    """One database: its variables, connections to it, and queries for a test's eyes."""

    stack: Stack
    name: str

    @property
    def env(self) -> dict[str, str]:
        """The stack's variables, pointing at this database."""
        return {**self.stack.env, "DB_NAME": self.name}

    def connect(self, **options: Any) -> Connection:
        """A new connection in autocommit mode; the caller closes it."""
        options = {"user": self.stack.db_user, "password": self.stack.db_password, **options}
        connection: Connection = psycopg2.connect(
            host=self.stack.db_host, port=self.stack.db_port, dbname=self.name, **options
        )
        connection.autocommit = True
        return connection

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one query; nothing of a session is left to the next."""
        with self._rested() as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def execute(self, statement: str | sql.Composable, *parameters: object) -> None:
        """Run one statement whose rows nobody wants; nothing of a session is left to the next."""
        with self._rested() as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor on a connection of its own, both closed at the end."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            yield cursor

    @property
    def _key(self) -> tuple[str, int, str]:
        return self.stack.db_host, self.stack.db_port, self.name

    @contextlib.contextmanager
    def _rested(self) -> Iterator[Connection]:
        """A connection as if it were new; after an error nobody gets it again."""
        connection = self._wake() or self.connect()
        try:
            yield connection
            with connection.cursor() as cursor:
                cursor.execute("DISCARD ALL")
        except BaseException:
            connection.close()
            raise
        with _resting_lock:
            _resting[self._key].append(connection)

    def _wake(self) -> Connection | None:
        while True:
            with _resting_lock:
                if not _resting[self._key]:
                    return None
                connection = _resting[self._key].pop()
            # The server says nothing to who rests, unless it ends the session.
            if not select.select([connection], [], [], 0)[0]:
                return connection
            connection.close()

    def close_resting(self) -> None:
        """End what rests, as before the database goes."""
        with _resting_lock:
            connections = _resting.pop(self._key, [])
        for connection in connections:
            connection.close()


def maintenance(stack: Stack) -> Database:
    """The database from which others are made and dropped."""
    return Database(stack, "postgres")


def create_database(stack: Stack, name: str, template: str) -> Database:
    """Make a database as a copy of `template`."""
    maintenance(stack).execute(
        _named("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
    )
    return Database(stack, name)


def drop_database(stack: Stack, name: str) -> None:
    """Drop a database, whoever is still connected to it."""
    Database(stack, name).close_resting()
    maintenance(stack).execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))


def close_and_rename(database: Database, name: str) -> None:
    """Let nobody connect any more (TimescaleDB's scheduler included), then give the final name."""
    database.close_resting()
    keeper = maintenance(database.stack)
    keeper.execute(_named("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name))
    keeper.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
        database.name,
    )
    keeper.execute(_named("ALTER DATABASE {} RENAME TO {}", database.name, name))


def _named(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))
