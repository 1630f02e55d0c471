"""A worker that freezes while it sends its rows must not hold up the others."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg2
import pytest

from tests.integration.streaming import plain_events
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

SEED = 7
IN_COPY = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND state = 'active' AND wait_event = 'ClientRead' AND query LIKE 'COPY%%'"""


class Silent:
    """A file whose reader waits until `released`: what a frozen client is to the server."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def read(self, size: int = -1) -> bytes:
        """Nothing, after the release."""
        del size
        self.released.wait(120)
        return b""

    def readline(self, size: int = -1) -> bytes:
        """Part of what psycopg2 asks of a file."""
        return self.read(size)


@contextlib.contextmanager
def frozen_in_copy(way: WholeWay) -> Iterator[list[BaseException]]:
    """A flush session that holds the offsets and waits for rows that never come; how it ended."""
    silent, ends = Silent(), list[BaseException]()
    connection = way.database.connect(application_name="stacklens-analytics flush")
    connection.autocommit = False

    def freeze() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM kafka_offsets FOR UPDATE")
                cursor.copy_expert("COPY analytics_events (timestamp, service) FROM STDIN", silent)
        except psycopg2.Error as error:
            ends.append(error)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        wait_until(lambda: way.database.rows(IN_COPY) == [(1,)], 30, "the session stands in COPY")
        yield ends
    finally:
        silent.released.set()
        thread.join(60)
        connection.close()


@pytest.mark.slow
def test_a_flush_frozen_in_copy_is_ended_by_the_worker_that_waits_for_it(way: WholeWay) -> None:
    worker = way.start()
    way.send_values(plain_events(SEED, 1_000))
    way.wait_settled()
    with frozen_in_copy(way) as ends:
        way.send_values(plain_events(SEED + 1, 1_000))
        way.wait_settled(deadline_s=60)
    assert len(ends) == 1, "the frozen session found its connection gone"
    assert "ended 1 flush session(s) of workers that are frozen" in worker.output
    assert way.differences() == []
