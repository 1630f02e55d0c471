"""Whose fault an error is, by SQLSTATE, each raised by a real server."""

from __future__ import annotations

import contextlib

import psycopg2
import pytest

from analytics_service.adapters.timescale.errors import (
    Fault,
    PoolTimeoutError,
    Verdict,
    classify,
    is_poison,
)
from tests.databases import Database

BATCH, DATABASE = Fault.BATCH, Fault.DATABASE


@pytest.mark.parametrize(
    ("sqlstate", "fault", "what"),
    [
        # the batch's own: the same rows would fail again, however long one waits
        ("22P02", BATCH, "text that is no number, no address, no array"),
        ("22021", BATCH, "a character that the encoding does not have"),
        ("22P04", BATCH, "a malformed COPY line"),
        ("22003", BATCH, "a number out of range"),
        ("23502", BATCH, "NULL where there must be a value"),
        ("23505", BATCH, "a key that is there already"),
        ("23514", BATCH, "a check that fails"),
        # the way to the database
        ("08006", DATABASE, "the connection failed"),
        ("08P01", DATABASE, "a protocol violation, as a pooler in between may cause"),
        # the company of other transactions
        ("40001", DATABASE, "serialisation failed"),
        ("40P01", DATABASE, "deadlock"),
        ("55P03", DATABASE, "lock not available"),
        ("25P03", DATABASE, "idle in a transaction for too long"),
        # resources
        ("53100", DATABASE, "disk full"),
        ("53200", DATABASE, "out of memory"),
        ("53300", DATABASE, "too many connections"),
        ("54000", DATABASE, "a program limit"),
        # the server's operator
        ("57014", DATABASE, "statement timeout"),
        ("57P01", DATABASE, "shut down"),
        ("57P03", DATABASE, "starting up"),
        ("58030", DATABASE, "I/O error"),
        ("XX000", DATABASE, "internal error"),
        ("XX001", DATABASE, "corrupted data"),
        # an unfinished deployment: waiting helps once it is finished, dropping never does
        ("42P01", DATABASE, "no such table"),
        ("42501", DATABASE, "a privilege is missing"),
        ("25006", DATABASE, "read-only: a failover is under way"),
        ("28P01", DATABASE, "wrong password"),
        ("TS001", DATABASE, "an error of TimescaleDB's own"),
    ],
)
def test_by_sqlstate(empty_database: Database, sqlstate: str, fault: Fault, what: str) -> None:
    """Only classes 22 and 23 are the batch's fault."""
    with pytest.raises(psycopg2.Error) as caught:
        empty_database.execute(f"DO $$ BEGIN RAISE 'x' USING ERRCODE = '{sqlstate}'; END $$")
    assert caught.value.pgcode == sqlstate, what
    assert classify(caught.value) == Verdict(fault, f"sqlstate:{sqlstate}"), what
    assert is_poison(caught.value) == (fault is BATCH)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        # the driver's, without a SQLSTATE: no connection, a connection closed under us
        (psycopg2.OperationalError("server closed the connection unexpectedly"), DATABASE),
        (psycopg2.InterfaceError("connection already closed"), DATABASE),
        (psycopg2.ProgrammingError("no results to fetch"), DATABASE),
        (PoolTimeoutError("all in use"), DATABASE),
        # the machine's
        (ConnectionResetError("reset"), DATABASE),
        (MemoryError(), DATABASE),
        (KeyboardInterrupt(), DATABASE),
        # our own code, on this batch
        (ValueError("A string literal cannot contain NUL (0x00) characters."), BATCH),
        (OverflowError("too large"), BATCH),
        (KeyError("service"), BATCH),
    ],
    ids=lambda parameter: type(parameter).__name__,
)
def test_without_a_sqlstate(error: BaseException, fault: Fault) -> None:
    """The driver's and the machine's errors are waited out; our own exceptions are the batch's."""
    assert classify(error).fault is fault
    assert classify(error).reason.endswith(type(error).__name__)


def test_a_refused_connection_is_the_databases_trouble() -> None:
    """What psycopg2 raises when nobody listens carries no SQLSTATE."""
    with pytest.raises(psycopg2.OperationalError) as caught:
        contextlib.closing(psycopg2.connect(host="127.0.0.1", port=1, dbname="x", user="x"))
    assert classify(caught.value) == Verdict(DATABASE, "driver:OperationalError")
