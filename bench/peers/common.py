"""What the Python peers share: the job as the environment tells it, the state of a window, and the database.

Imports nothing of the product and runs in the peers' own environment. Every peer says `peer-began TIME` at its first
event; one that only computes windows writes them to a file at the end and says `peer-ended TIME` (epoch seconds).
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg2
from psycopg2.extras import execute_values

WINDOWS: Final = {"1min": 60, "5min": 300, "1hour": 3600}
FAILED: Final = frozenset(("error", "critical"))
# Upper bounds of the latency histogram in ms; one more bucket holds what is above. Far coarser than the product's 1 %:
# these tools serialise the state at every event, so a fine one would slow them down.
BOUNDS_MS: Final = (
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700,
    1000, 1500, 2000, 3000, 5000, 7000, 10000,
)  # fmt: skip
BUCKETS: Final = len(BOUNDS_MS) + 1
PERCENTILES: Final = (50, 95, 99)
RAW_COLUMNS: Final = (
    "timestamp", "service", "level", "latency_ms", "risk_score", "user_id", "request_id", "source_ip", "message",
    "topic_incarnation", "kafka_partition", "kafka_offset",
)  # fmt: skip
COLUMNS: Final = (
    "total_requests", "failed_requests", "latency_min_ms", "latency_max_ms", "latency_mean_ms",
    "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_count", "latency_bucket_counts",
    "successful_requests", "error_rate", "latency_sum_ms", "latency_buckets",
)  # fmt: skip

State = list[Any]
"""Requests, failed, sum, min and max of the latencies, then the buckets: plain, so that every tool can store it."""


@dataclass(frozen=True)
class Job:
    """What is asked for."""

    broker: str
    topic: str
    group: str
    events: int
    store: bool
    result: str

    @classmethod
    def of_environment(cls) -> Job:
        """The job that the bench gave."""
        env = os.environ
        return cls(
            broker=env["KAFKA_BOOTSTRAP_SERVERS"],
            topic=env["KAFKA_INPUT_TOPIC"],
            group=env["KAFKA_CONSUMER_GROUP"],
            events=int(env["PEER_EVENTS"]),
            store=env["PEER_STORE"] == "1",
            result=env["PEER_RESULT"],
        )


def say(what: str) -> None:
    """One line with the time for the bench."""
    print(f"peer-{what} {time.time():.6f}", flush=True)


def new_state() -> State:
    """Nothing seen yet."""
    return [0, 0, 0.0, None, None, *([0] * BUCKETS)]


def add(state: State, level: str, latency_ms: float | None) -> None:
    """Count one event."""
    state[0] += 1
    if level in FAILED:
        state[1] += 1
    if latency_ms is not None:
        state[2] += latency_ms
        if state[3] is None or latency_ms < state[3]:
            state[3] = latency_ms
        if state[4] is None or latency_ms > state[4]:
            state[4] = latency_ms
        state[5 + bisect_left(BOUNDS_MS, latency_ms)] += 1


def figures(state: State) -> list[Any]:
    """The state as values of COLUMNS."""
    total, failed, latency_sum, low, high = state[:5]
    counts = state[5:]
    known = sum(counts)
    ranks = [percentile(counts, known, high, percent) for percent in PERCENTILES]
    mean = latency_sum / known if known else None
    result = [total, failed, low, high, mean, *ranks, known, counts, total - failed]
    return [*result, 100.0 * failed / total, latency_sum, list(range(BUCKETS))]


def percentile(counts: Sequence[int], known: int, high: float, percent: int) -> float | None:
    """The upper bound of the bucket that holds the nearest rank, never above the maximum."""
    left = -(-percent * known // 100)
    if not known:
        return None
    for bound, count in zip(BOUNDS_MS, counts, strict=False):
        left -= count
        if left <= 0:
            return min(float(bound), high)
    return high


@dataclass
class Tally:
    """The last state of every window, where nothing is stored; `put` says when all events are in."""

    job: Job
    _states: dict[tuple[str, str, int], State] = field(default_factory=dict)
    _totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WINDOWS, 0))

    def put(self, window: str, service: str, start_s: int, state: State) -> None:
        """Remember a newer state of a window; with the last event, tell the bench."""
        key = (window, service, start_s)
        old = self._states.get(key)
        self._totals[window] += state[0] - (old[0] if old else 0)
        self._states[key] = state
        if state[0] and all(total == self.job.events for total in self._totals.values()):
            ended = time.time()
            write_result(self.job.result, ([*k, *figures(s)] for k, s in self._states.items()))
            print(f"peer-ended {ended:.6f}", flush=True)


def write_result(path: str, rows: Iterable[Sequence[Any]]) -> None:
    """Rows of (window, service, start, COLUMNS...) for the bench to check."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(list(rows), file)


class Database:
    """One connection; commits do not wait for the disk, as in the product's flushes."""

    def __init__(self) -> None:
        env = os.environ
        self._conn = psycopg2.connect(
            host=env["DB_HOST"],
            port=env["DB_PORT"],
            user=env["DB_USER"],
            password=env["DB_PASSWORD"],
            dbname=env["DB_NAME"],
            options="-c synchronous_commit=off",
        )

    def copy_raw(self, rows: Iterable[Sequence[Any]]) -> None:
        """Raw rows, values as RAW_COLUMNS, in one COPY and one transaction."""
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        text.seek(0)
        with self._conn, self._conn.cursor() as cur:
            columns = ", ".join(RAW_COLUMNS)
            cur.copy_expert(f"COPY analytics_events ({columns}) FROM STDIN (FORMAT csv)", text)

    def upsert(self, states: dict[tuple[str, str, int], State]) -> None:
        """The newest state of some windows, keyed by (window, service, start), in one transaction."""
        with self._conn, self._conn.cursor() as cur:
            for window in WINDOWS:
                rows = [
                    (service, start, *figures(states[window, service, start]))
                    for name, service, start in sorted(states)
                    if name == window
                ]
                if rows:
                    execute_values(cur, UPSERT[window], rows, UPSERT_ROW, page_size=1000)


UPSERT_ROW: Final = f"(%s, to_timestamp(%s), {', '.join(['%s'] * len(COLUMNS))})"
UPSERT: Final = {
    window: (
        f"INSERT INTO analytics_metrics_{window} (service, timestamp, {', '.join(COLUMNS)}) "  # noqa: S608  # fixed names
        f"VALUES %s ON CONFLICT (service, timestamp) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in (*COLUMNS, "aggregated_at"))
    )
    for window in WINDOWS
}
