"""At a sustained rate, how long after it was produced is an event visible in all three tables?

A process of its own produces and notes when; this one asks the database every 20 ms for the stored offsets and notes
when the answer arrived. An offset is moved in the transaction that writes the event's raw row and its three window
rows, so the first answer that lies beyond an event is the first that could have shown it in all of them. The pace of
asking is in the figure (up to 20 ms too much).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from psycopg2.extensions import connection

from bench.child import Child
from bench.errors import NotProduced, NotSustained
from bench.events import SERVICES, Floats
from bench.paced_producer import READY
from bench.proc import peak_memory_bytes
from bench.progress import Progress
from bench.site import SECONDS_TO_BEGIN, SESSION_BEGAN, Site
from bench.truth import nearest_rank
from bench.verify import verify_raw_rows, verify_totals
from bench.visible import Produced, visible_after

POLL_S = 0.02
SECONDS_TO_CATCH_UP = 60.0
EVEN_ENOUGH = 0.98


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of some events, in seconds."""

    p50_s: float
    p99_s: float
    worst_s: float


@dataclass(frozen=True, slots=True)
class LiveResult:
    """Latencies in seconds; `rate` is the one reached, in events a second. `parts`: of one part after the other."""

    rate: float
    events: int
    p50_s: float
    p99_s: float
    worst_s: float
    peak_memory_bytes: int
    parts: tuple[Latencies, ...] = ()


def run_live(
    site: Site,
    database: str,
    topic: str,
    rate: int,
    seconds: float,
    progress: Progress,
    services: int = len(SERVICES),
    part_s: float | None = None,
) -> LiveResult:
    """Start a worker on an empty topic, then produce, and measure every event from the first to the last.

    With `part_s` the events of each so many seconds by themselves, too.
    """
    conn = None
    notes = site.directory / f"{topic}.npz"
    with site.worker(database, topic, topic) as worker:
        worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
        conn = site.connect(database)
        with paced_producer(site, topic, rate, seconds, services) as producer:
            producer.wait_for(READY, SECONDS_TO_BEGIN + seconds)
            polls = _poll(
                conn, worker, topic, site.partitions, int(rate * seconds), seconds, progress
            )
            status = producer.finish(SECONDS_TO_CATCH_UP)
        if status != 0:
            raise producer.trouble(f"ended with exit status {status}")
        memory = peak_memory_bytes(worker.pid)
    with np.load(notes) as noted:
        produced = Produced(*(noted[name] for name in Produced.__dataclass_fields__))
        elapsed = float(noted["elapsed_s"])
    events = int(produced.count.sum())
    if events / elapsed < EVEN_ENOUGH * rate:
        raise NotProduced(f"{events / elapsed:,.0f} events/s were produced, {rate:,} wanted")
    verify_raw_rows(conn, site.ends(topic))
    verify_totals(conn, events)
    conn.close()
    visible = visible_after(produced, polls)
    whole = _latencies(visible.after_s)
    return LiveResult(
        rate=events / elapsed,
        events=events,
        p50_s=whole.p50_s,
        p99_s=whole.p99_s,
        worst_s=whole.worst_s,
        peak_memory_bytes=memory,
        parts=() if part_s is None else tuple(map(_latencies, visible.by_time(part_s))),
    )


def _latencies(after_s: Floats) -> Latencies:
    ordered = np.sort(after_s)
    return Latencies(nearest_rank(ordered, 50), nearest_rank(ordered, 99), float(ordered[-1]))


def paced_producer(site: Site, topic: str, rate: int, seconds: float, services: int) -> Child:
    """Sends events round the partitions at that rate; says READY when it begins, notes in <topic>.npz when it sent."""
    arguments = {
        "--broker": site.stack.kafka_bootstrap_servers,
        "--topic": topic,
        "--partitions": site.partitions,
        "--rate": rate,
        "--services": services,
        "--seconds": seconds,
        "--file": site.directory / f"{topic}.npz",
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    command = [sys.executable, "-m", "bench.paced_producer", *words]
    environment = site.environment(site.stack.db_name, topic, topic)
    return Child("the producer", command, environment, site.directory, markers=[READY])


def _poll(
    conn: connection,
    worker: Child,
    topic: str,
    partitions: int,
    events: int,
    seconds: float,
    progress: Progress,
) -> dict[int, list[tuple[float, int]]]:
    """The stored offsets of each partition whenever they had moved, until all events are stored."""
    polls: dict[int, list[tuple[float, int]]] = {number: [] for number in range(partitions)}
    last = dict.fromkeys(range(partitions), 0)
    deadline = time.monotonic() + seconds + SECONDS_TO_CATCH_UP
    with conn.cursor() as cur:
        while time.monotonic() < deadline:
            asked = time.monotonic()
            cur.execute(
                "SELECT kafka_partition, next_offset FROM kafka_offsets WHERE topic = %s", (topic,)
            )
            answer = cur.fetchall()
            now = time.time()
            for partition, next_offset in answer:
                if next_offset > last[partition]:
                    last[partition] = next_offset
                    polls[partition].append((now, next_offset))
            stored = sum(last.values())
            if stored >= events:
                return polls
            worker.check()
            progress.tick(f"{stored:,} of {events:,} events visible")
            time.sleep(max(0.0, asked + POLL_S - time.monotonic()))
    raise NotSustained(f"{sum(last.values()):,} of {events:,} events were visible in the end")
