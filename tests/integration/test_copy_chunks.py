"""COPY from chunks that are made while the server reads: what goes wrong in the making comes out as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.copy_chunks import copy_in
from tests.databases import Database

INTO = sql.SQL("COPY numbers FROM STDIN")


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with contextlib.closing(database.connect()) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE numbers (number int CHECK (number >= 0), text text)")
        connection.commit()
        yield connection


def test_chunks_of_any_size(connection: Connection) -> None:
    big = b"".join(b"%d\t%s\n" % (number, b"x" * 90) for number in range(200_000))
    chunks: list[bytes | memoryview] = [
        b"-1\ta\n"[1:],
        b"",
        memoryview(big),
        b"7",
        b"\tb",
        b"\n",
        big[:0],
    ]
    with connection.cursor() as cursor:
        copy_in(cursor, INTO, chunks)
        cursor.execute("SELECT count(*), sum(length(text)), max(number) FROM numbers")
        assert cursor.fetchone() == (200_002, 200_000 * 90 + 2, 199_999)
        copy_in(cursor, INTO, [])
        copy_in(cursor, INTO, iter([b""]))
        cursor.execute("SELECT count(*) FROM numbers")
        assert cursor.fetchone() == (200_002,)


@pytest.mark.parametrize("good", [0, 1, 3])
def test_what_making_a_chunk_raises(connection: Connection, good: int) -> None:
    failure = ValueError("of our own")

    def chunks() -> Iterator[bytes]:
        for number in range(good):
            yield b"%d\ta\n" % number
        raise failure

    with connection.cursor() as cursor:
        with pytest.raises(ValueError, match="of our own") as raised:
            copy_in(cursor, INTO, chunks())
        assert raised.value is failure
        connection.rollback()
        cursor.execute("SELECT count(*) FROM numbers")
        assert cursor.fetchone() == (0,)


def test_what_the_server_refuses(connection: Connection) -> None:
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.CheckViolation):
        copy_in(cursor, INTO, [b"1\ta\n", b"-1\ta\n"])
