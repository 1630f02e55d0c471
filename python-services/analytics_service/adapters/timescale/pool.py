"""A bounded pool of connections: tested on checkout, dead ones replaced, safe across fork.

psycopg2's own pool neither waits when it is exhausted, nor tests, nor keeps what it opened above
its minimum.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.connecting import (
    STATEMENT_TIMEOUT_MS,
    ConnectionParameters,
    Role,
    parameters,
    with_retries,
)
from analytics_service.adapters.timescale.errors import PoolClosedError, PoolTimeoutError
from analytics_service.config import Settings

TEST_WHEN_IDLE_S = 1.0
CHECKOUT_TIMEOUT_S = 10.0
DEAD_CONNECTION = "Detected dead connection, removing from pool"

logger = logging.getLogger(__name__)


class Pool:
    """Connections of one role; at most `maximum` of them, `minimum` opened by `open()`.

    Opens the rest as they are needed. Any number of threads may use it; a forked child starts
    with an empty pool.
    """

    def __init__(
        self,
        params: ConnectionParameters,
        *,
        minimum: int,
        maximum: int,
        checkout_timeout_s: float = CHECKOUT_TIMEOUT_S,
        test_when_idle_s: float = TEST_WHEN_IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= minimum <= maximum or maximum < 1:
            raise ValueError(f"a pool of {minimum} to {maximum} connections is not possible")
        self.params = params
        self._minimum = minimum
        self._maximum = maximum
        self._checkout_timeout_s = checkout_timeout_s
        self._test_when_idle_s = test_when_idle_s
        self._clock = clock
        self._forget()
        # Sockets shared with the parent must not be used; psycopg2 closes them only in the process
        # that opened them.
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: _call(forget))

    def open(self) -> None:
        """Open the minimum. Raises psycopg2.OperationalError when the database is out of reach."""
        while self.stats()["idle"] + self.stats()["used"] < self._minimum:
            connection = self.params.connect()
            with self._changed:
                self._idle.append((connection, self._clock()))
                self._changed.notify()

    @contextmanager
    def connection(self, timeout_s: float | None = None) -> Iterator[Connection]:
        """A live connection for one transaction: committed on success, rolled back on an exception.

        Waits up to `timeout_s` (default: the pool's) for a free one, then raises PoolTimeoutError.
        """
        connection = self._take(self._checkout_timeout_s if timeout_s is None else timeout_s)
        try:
            yield connection
            connection.commit()
        finally:
            self._give_back(connection)

    def stats(self) -> dict[str, int]:
        """How many connections are used, idle, and allowed at most."""
        with self._changed:
            return {"used": self._used, "idle": len(self._idle), "max": self._maximum}

    def close(self) -> None:
        """Close what is idle now and the rest as it comes back; nothing is handed out any more."""
        with self._changed:
            self._closed = True
            idle = [connection for connection, _ in self._idle]
            self._idle.clear()
            self._changed.notify_all()
        for connection in idle:
            connection.close()

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._idle: deque[tuple[Connection, float]] = deque()
        self._used = 0
        self._closed = False

    def _take(self, timeout_s: float) -> Connection:
        deadline = self._clock() + timeout_s
        with self._changed:
            while not self._closed and self._used >= self._maximum:
                left_s = deadline - self._clock()
                if left_s <= 0:
                    raise PoolTimeoutError(
                        f"all {self._maximum} connections to database {self.params.database} "
                        f"stayed in use for {timeout_s:g} s"
                    )
                self._changed.wait(left_s)
            if self._closed:
                raise PoolClosedError("the connection pool is closed")
            self._used += 1
        try:
            return self._live_connection()
        except BaseException:
            self._release()
            raise

    def _live_connection(self) -> Connection:
        """The idle connection used last, if it is alive; the dead ones before it are dropped."""
        while True:
            with self._changed:
                if not self._idle:
                    break
                connection, idle_since = self._idle.pop()
            if self._is_alive(connection, self._clock() - idle_since):
                return connection
            self._drop_dead(connection)
        return self.params.connect()

    def _is_alive(self, connection: Connection, idle_s: float) -> bool:
        if connection.closed or connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            return False
        if idle_s < self._test_when_idle_s:
            return True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.rollback()
        except psycopg2.Error:
            return False
        return True

    def _give_back(self, connection: Connection) -> None:
        try:
            if not connection.closed:
                connection.rollback()
        except psycopg2.Error as error:
            logger.debug("rolling back failed: %s", self.params.why(error))
        # After a failed rollback the connection is marked closed, or its state is not idle.
        if connection.closed or connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            self._drop_dead(connection)
        with self._changed:
            if self._closed:
                connection.close()
            elif not connection.closed:
                self._idle.append((connection, self._clock()))
            self._used -= 1
            self._changed.notify()

    def _release(self) -> None:
        with self._changed:
            self._used -= 1
            self._changed.notify()

    @staticmethod
    def _drop_dead(connection: Connection) -> None:
        logger.warning(DEAD_CONNECTION)
        connection.close()


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    bound = method()
    if bound is not None:
        bound()


def open_pool(
    settings: Settings,
    role: Role = "owner",
    *,
    application_name: str = "stacklens",
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    session: Mapping[str, str] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Pool:
    """An opened pool of the size in the settings; retried while the database is not up.

    Raises PoolOpenError after five attempts.
    """
    params = parameters(
        settings,
        role,
        application_name=application_name,
        statement_timeout_ms=statement_timeout_ms,
        session=session,
    )
    pool = Pool(params, minimum=settings.db_pool_min, maximum=settings.db_pool_max)
    with_retries(pool.open, params.why, sleep)
    return pool
