"""Whose fault an error is: the batch's own, or the database's. By SQLSTATE, never by message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import psycopg2

POISON_CLASSES = {
    "22": "data_exception",
    "23": "integrity_constraint_violation",
}


class PoolError(psycopg2.OperationalError):
    """The connection pool cannot hand out a connection: to its users, the database's trouble."""


class PoolTimeoutError(PoolError):
    """Every connection stayed in use for as long as the caller was ready to wait."""


class PoolClosedError(PoolError):
    """The pool was closed."""


class PoolOpenError(PoolError):
    """The database could not be reached at start, after every attempt."""


class MigrationError(Exception):
    """The schema could not be migrated; the message says what to do."""


class BackupError(Exception):
    """A backup could not be taken or restored; the message says what to do."""


class Fault(StrEnum):
    """Who has to change for the work to succeed."""

    BATCH = "batch"
    """The batch: retry a few times, then split it until the culprit is found."""
    DATABASE = "database"
    """The database or the way to it: roll back, back off, wait; never drop anything."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose fault an error is, and why: the SQLSTATE or the kind of exception."""

    fault: Fault
    reason: str


def classify(error: BaseException) -> Verdict:
    """Whose fault `error` is.

    SQLSTATE classes 22 and 23 are the batch's. Any other SQLSTATE, a driver error without one,
    and an exhausted or closed pool are the database's, and so are the operating system's errors
    and a lack of memory. What is left is an exception of our own code on this batch: the batch's.
    """
    if isinstance(error, psycopg2.Error):
        sqlstate = error.pgcode
        if not sqlstate:
            return Verdict(Fault.DATABASE, f"driver:{type(error).__name__}")
        fault = Fault.BATCH if sqlstate[:2] in POISON_CLASSES else Fault.DATABASE
        return Verdict(fault, f"sqlstate:{sqlstate}")
    if isinstance(error, OSError | MemoryError) or not isinstance(error, Exception):
        return Verdict(Fault.DATABASE, f"system:{type(error).__name__}")
    return Verdict(Fault.BATCH, f"exception:{type(error).__name__}")


def is_poison(error: BaseException) -> bool:
    """Whether the batch itself is at fault, so that waiting for the database would never end."""
    return classify(error).fault is Fault.BATCH
