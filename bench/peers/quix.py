"""The peer: Quix Streams, its windows and state as its documentation shows them, its sinks as it provides them.

The input has no keys, so that right totals need `group_by`: a repartition topic keyed by service. Each of the three
tumbling windows hands on every update (`current()`), for a row has to show up with its window's first event; the sink
keeps the last update of each window between two checkpoints. State is RocksDB with changelog topics, at least once.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Aggregator
from quixstreams.sinks.base import BatchingSink, SinkBatch

from bench.peers import common

GRACE_MS = 86_400_000
# A checkpoint flushes state, changelogs and sinks: every few thousand events is cheap, every event would not be.
COMMIT_INTERVAL_S = 1.0


class Latencies(Aggregator):
    """The shared state of a window, as an aggregation of Quix Streams."""

    def initialize(self) -> common.State:
        """Nothing seen yet."""
        return common.new_state()

    def agg(self, old: common.State, new: Any, timestamp: int) -> common.State:  # noqa: ARG002  # the library's signature
        """Count one event."""
        common.add(old, new["level"], new["latency_ms"])
        return old

    def result(self, value: common.State) -> common.State:
        """The state itself: figures are made of it where they are needed."""
        return value


class RawSink(BatchingSink):
    """Raw rows, one COPY for each partition and checkpoint."""

    def setup(self) -> None:
        """Connect."""
        self._database = common.Database()

    def write(self, batch: SinkBatch) -> None:
        """The rows of one partition."""
        self._database.copy_raw(
            (
                e["timestamp"],
                e["service"],
                e["level"],
                e["latency_ms"],
                e["risk_score"],
                e["user_id"],
                e["request_id"],
                e["source_ip"],
                e["message"],
                1,
                batch.partition,
                item.offset,
            )
            for item in batch
            for e in (item.value,)
        )


class WindowSink(BatchingSink):
    """Rows of one window size; the last update of each window counts."""

    def __init__(self, window: str) -> None:
        super().__init__()
        self._window = window

    def setup(self) -> None:
        """Connect."""
        self._database = common.Database()

    def write(self, batch: SinkBatch) -> None:
        """The rows of one partition of the repartition topic."""
        self._database.upsert(
            {
                (self._window, item.key, item.value["start"] // 1000): item.value["state"]
                for item in batch
            }
        )


def event_time_ms(value: Any, _headers: Any, _timestamp: float, _kind: Any) -> int:
    """The time that the event itself names."""
    return int(datetime.fromisoformat(value["timestamp"]).timestamp() * 1000)


def build(job: common.Job, state_dir: str) -> Application:
    """The application with its topology."""
    app = Application(
        broker_address=job.broker,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_INTERVAL_S,
        state_dir=state_dir,
        consumer_extra_config={"fetch.min.bytes": 1 << 16, "fetch.wait.max.ms": 100},
        producer_extra_config={"linger.ms": 50, "compression.type": "lz4"},
        loglevel="WARNING",
    )
    topic = app.topic(job.topic, value_deserializer="json", timestamp_extractor=event_time_ms)
    events = app.dataframe(topic)
    seen = 0

    def note(_value: Any) -> None:
        nonlocal seen
        if seen == 0:
            common.say("began")
        seen += 1
        if seen % 1000 == 0:
            print(f"{seen:,} of {job.events:,} events seen", flush=True)

    events = events.update(note)
    if job.store:
        events.sink(RawSink())
    tally = common.Tally(job)
    services = events[["service", "level", "latency_ms"]].group_by("service")
    for window, seconds in common.WINDOWS.items():
        definition = services.tumbling_window(seconds * 1000, grace_ms=GRACE_MS, name=window)
        updates = definition.agg(state=Latencies()).current()
        if job.store:
            updates.sink(WindowSink(window))
        else:
            updates.update(_into(tally, window), metadata=True)
    return app


def _into(tally: common.Tally, window: str) -> Any:
    def put(value: Any, key: Any, _timestamp: int, _headers: Any) -> None:
        tally.put(window, key, value["start"] // 1000, list(value["state"]))

    return put


def main() -> None:
    """Run until ended by a signal."""
    with tempfile.TemporaryDirectory(prefix="bench-quix-") as state_dir:
        build(common.Job.of_environment(), state_dir).run()


if __name__ == "__main__":
    main()
