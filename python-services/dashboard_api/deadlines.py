"""A client-side limit on how long a thread waits for the database.

The server's `statement_timeout` cannot help when the server itself hangs. psycopg2 hands every wait
to a callback of the process (its interface for coroutines); ours waits until a deadline of the
thread. When it raises, psycopg2 closes the connection, and the pool replaces it.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, connection, set_wait_callback

DEFAULT_S = 10.0
_SLICE_S = 0.25


class DatabaseTimeout(psycopg2.OperationalError):
    """The database did not answer before the deadline."""


class _Limits(threading.local):
    ends_at_s: float | None = None
    given_up: Callable[[], bool] | None = None


_limits = _Limits()


@contextmanager
def deadline(seconds: float, given_up: Callable[[], bool] | None = None) -> Iterator[None]:
    """Let this thread wait for the database `seconds` in all, or until `given_up()` is true.

    Has an effect in a process that called `install`.
    """
    before = (_limits.ends_at_s, _limits.given_up)
    _limits.ends_at_s, _limits.given_up = time.monotonic() + seconds, given_up
    try:
        yield
    except DatabaseTimeout as error:
        raise DatabaseTimeout(f"no answer within {seconds:g} s, or none to be expected") from error
    finally:
        _limits.ends_at_s, _limits.given_up = before


def install() -> None:
    """Use deadlines for all of psycopg2 in this process (COPY is not possible any more)."""
    set_wait_callback(_wait)


def uninstall() -> None:
    """Back to psycopg2's own way of waiting."""
    set_wait_callback(None)


def _wait(waiting: connection) -> None:
    started_s = time.monotonic()
    ends_at_s = _limits.ends_at_s or started_s + DEFAULT_S
    while True:
        state = waiting.poll()
        if state == POLL_OK:
            return
        now_s = time.monotonic()
        given_up = _limits.given_up is not None and _limits.given_up()
        if now_s >= ends_at_s or given_up:
            raise DatabaseTimeout("no answer in time")
        poller = select.poll()
        poller.register(waiting.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        poller.poll(min(_SLICE_S, ends_at_s - now_s) * 1000)
