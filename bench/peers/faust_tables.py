"""The peer: an ordinary Faust app with three windowed Tables, as its documentation shows them.

Per event and window it counts requests and errors and adds up latencies; no percentiles, no uniques, no raw rows, no
database: the Tables are in memory, backed by their changelog topics, at least once. Nothing is done to slow it: it does
not even repartition by service (`group_by`), which several workers would need for right totals.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import datetime
from typing import Any

import faust

HOUR_S = 3600
WINDOWS = {"1min": 60, "5min": 300, "1hour": HOUR_S}
SHOWN_EVERY = 1_000


class LogEvent(faust.Record, serializer="json", isodates=True):
    """The fields of an event that the app looks at."""

    timestamp: datetime
    service: str
    level: str
    latency_ms: float | None = None


class Sums(faust.Record):
    """What is known about one service in one window."""

    requests: int = 0
    errors: int = 0
    latency_sum_ms: float = 0.0


def make_app(group: str, broker: str, topic: str, partitions: int, count: int, datadir: str) -> Any:
    """The app; it prints a line of JSON once it has processed `count` events."""
    app = faust.App(
        group,
        broker=f"kafka://{broker}",
        store="memory://",
        topic_partitions=partitions,
        web_enabled=False,
        datadir=datadir,
    )
    events = app.topic(topic, value_type=LogEvent)
    # On the class the name is the field's descriptor, which its annotation does not tell.
    event_time: Any = LogEvent.timestamp
    tables = [
        app.Table(name, default=Sums, value_type=Sums, partitions=partitions)
        .tumbling(seconds, expires=HOUR_S)
        .relative_to_field(event_time)
        for name, seconds in WINDOWS.items()
    ]
    seen = 0
    began = 0.0

    @app.agent(events)
    async def aggregate(stream: Any) -> None:
        nonlocal seen, began
        async for event in stream:
            if seen == 0:
                began = time.perf_counter()
            for table in tables:
                sums = table[event.service].value()
                sums.requests += 1
                sums.errors += event.level in ("error", "critical")
                sums.latency_sum_ms += event.latency_ms or 0.0
                table[event.service] = sums
            seen += 1
            if seen % SHOWN_EVERY == 0:
                print(f"{seen:,} of {count:,} events processed", flush=True)
            if seen == count:
                print_result(seen, time.perf_counter() - began, tables)

    return app


def print_result(seen: int, seconds: float, tables: list[Any]) -> None:
    """One line for whoever started this: how long it took; rows of (window, service, start, requests, errors)."""
    rows = [
        [window, service, int(start), sums.requests, sums.errors]
        for window, table in zip(WINDOWS, tables, strict=True)
        for (service, (start, _)), sums in dict(table.table).items()
    ]
    print(json.dumps({"faust_events": seen, "seconds": seconds, "rows": rows}), flush=True)


def main() -> None:
    """Run the app until it is ended by a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", required=True)
    parser.add_argument("--broker", required=True, help="host:port")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="events to process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-faust-") as datadir:
        app = make_app(
            options.group, options.broker, options.topic, options.partitions, options.count, datadir
        )
        worker = faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False)
        worker.execute_from_commandline()


if __name__ == "__main__":
    main()
