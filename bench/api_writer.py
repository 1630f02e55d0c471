"""Keeps a seeded database in the present while the API is measured, in a process of its own.

Once a second it writes that second's raw events and writes the live windows of every service again, as flushes of a
worker do; new windows appear when they begin, at their full size from the start.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from typing import Any, Final

import psycopg2
from psycopg2.extensions import connection

from analytics_service.domain.windows import DAY, WINDOWS
from bench.api_layout import laid_out_until, lay_out, note_laid_out, slices, touch
from bench.api_raw import RawEvents
from bench.api_seed import RAW, due_until, note_level, store_offset
from bench.errors import BenchError

_EVERY_S: Final = 1.0
_SECONDS_TO_END: Final = 20.0


@contextlib.contextmanager
def writing(parameters: dict[str, Any], topic: str, services: int) -> Iterator[None]:
    """Write until the end of the block; `parameters` are those of psycopg2. Raises BenchError when it ended before."""
    context = multiprocessing.get_context("spawn")
    over = context.Event()
    process = context.Process(
        target=_write, args=(parameters, topic, services, over), name="bench writer", daemon=True
    )
    process.start()
    try:
        yield
        if not process.is_alive():
            raise BenchError("the process that writes the newest rows has ended")
    finally:
        over.set()
        process.join(_SECONDS_TO_END)


def _write(parameters: dict[str, Any], topic: str, services: int, over: Event) -> None:
    conn = psycopg2.connect(**parameters)
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute("SELECT next_offset FROM kafka_offsets WHERE topic = %s", (topic,))
        ((next_offset,),) = cur.fetchall()
    events = RawEvents(services, next_offset, next_offset)
    until = laid_out_until(conn)
    parent = multiprocessing.parent_process()
    while not over.is_set() and parent is not None and parent.is_alive():
        began = time.monotonic()
        now_s = int(time.time())
        _new_windows(conn, until, now_s)
        touch(conn, now_s)
        events.write(conn, until[RAW], now_s)
        until[RAW] = now_s
        note_laid_out(conn, RAW, now_s)
        store_offset(conn, topic, events.next_offset)
        over.wait(max(0.0, began + _EVERY_S - time.monotonic()))
    conn.close()


def _new_windows(conn: connection, until: dict[str, int], now_s: int) -> None:
    for window in (*WINDOWS, DAY):
        due_s = window.start_of(now_s) + window.seconds if window is not DAY else until[DAY.name]
        if window is DAY and now_s >= until[DAY.name] + DAY.seconds:
            due_s = due_until(conn, DAY, now_s)
        if due_s > until[window.name]:
            for piece in slices(window, until[window.name], due_s):
                lay_out(conn, piece)
            note_level(conn, window, due_s)
            until[window.name] = due_s
