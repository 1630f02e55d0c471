"""A day of real requests, compared window by window with the exact answers beside it."""

from __future__ import annotations

import contextlib
import random

import pytest

from tests.integration.whole_way import WholeWay
from tests.integration.worker_process import wait_stored
from tests.reference.compare import TABLES, compare_windows
from tests.reference.truth import load_truth, real_values

WINDOWS = {"1min": 4_504, "5min": 1_770, "1hour": 308}
EVENTS = 87_354
OLD_EVENTS = {"MAX_EVENT_AGE_DAYS": "36500"}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
def test_every_window_is_right(way: WholeWay, shuffle: bool, workers: int) -> None:
    truth = load_truth()
    values = real_values()
    if shuffle:
        random.Random(20_260_131).shuffle(values)
    assert len(values) == truth.events == EVENTS
    assert {name: len(cells) for name, cells in truth.windows.items()} == WINDOWS

    started = [way.start(**OLD_EVENTS) for _ in range(workers)]
    for worker in started:
        worker.wait_ready()
    way.send_values(values)
    way.wait_settled()

    with contextlib.closing(way.database.connect()) as connection:
        problems = [
            problem
            for name, table in TABLES.items()
            for problem in compare_windows(connection, table, truth.windows[name])
        ]
    assert problems[:20] == []
    assert way.database.rows(
        "SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)) FROM analytics_events"
    ) == [(EVENTS, EVENTS)]
    assert way.database.rows("SELECT count(*) FROM analytics_dead_letters") == [(0,)]
    wait_stored(started, EVENTS)
    stored = [worker.metric("stacklens_events_stored_total") for worker in started]
    assert all(stored), f"one worker had nothing to do: {stored}"
