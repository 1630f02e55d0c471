"""The peer: a Bytewax dataflow in one worker, batches all the way, with recovery on.

Bytewax's window operators hand a window on only when it closes; here a row has to show up with its window's first event
and be kept up to date. So the three windows of a service are one stateful operator (`stateful_batch`) that hands on
what has changed every half second. Its state is snapshot with the offsets: at least once.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers import common

BATCH = 5000
EMIT_EVERY = timedelta(milliseconds=500)
SNAPSHOT_EVERY = timedelta(seconds=10)


class Event(msgspec.Struct):
    """The fields of an event that are looked at."""

    timestamp: str
    service: str
    level: str
    latency_ms: float | None = None
    risk_score: float | None = None
    user_id: str | None = None
    request_id: str | None = None
    source_ip: str | None = None
    message: str | None = None
    partition: int = -1
    offset: int = -1
    time: datetime | None = None
    time_s: int = 0


class Windows(StatefulBatchLogic):
    """The three windows of one service: hands on (window, start, state) of those that changed."""

    def __init__(self, resumed: Any) -> None:
        self._states: dict[tuple[str, int], common.State] = {}
        self._changed: set[tuple[str, int]] = set()
        if resumed is not None:
            self._states, self._changed = resumed
        self._due: datetime | None = None

    def on_batch(self, values: list[Event]) -> tuple[Iterable[Any], bool]:
        """Count a batch."""
        states, changed = self._states, self._changed
        for event in values:
            for window, seconds in common.WINDOWS.items():
                key = (window, event.time_s // seconds * seconds)
                state = states.get(key)
                if state is None:
                    state = states[key] = common.new_state()
                changed.add(key)
                common.add(state, event.level, event.latency_ms)
        self._due = self._due or datetime.now(UTC) + EMIT_EVERY
        return (), StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[Iterable[Any], bool]:
        """Half a second after the first change: hand on."""
        rows = [(*key, self._states[key].copy()) for key in self._changed]
        self._changed, self._due = set(), None
        return rows, StatefulBatchLogic.RETAIN

    on_eof = on_notify

    def notify_at(self) -> datetime | None:
        """When to hand on."""
        return self._due

    def snapshot(self) -> Any:
        """What a restart needs."""
        return copy.deepcopy((self._states, self._changed))


class Output(DynamicSink, StatelessSinkPartition):
    """Batches of what arrives, given to a function."""

    def __init__(self, write: Any) -> None:
        self._write = write

    def write_batch(self, items: list[Any]) -> None:
        """Give them to the function."""
        self._write(items)

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> Output:
        """One worker, one partition."""
        return self


def decode(messages: list[Any]) -> list[tuple[str, Event]]:
    """Kafka's messages as events by service."""
    decoded = []
    for message in messages:
        event = _decoder.decode(message.value)
        event.partition, event.offset = message.partition, message.offset
        event.time = datetime.fromisoformat(event.timestamp)
        event.time_s = int(event.time.timestamp())
        decoded.append((event.service, event))
    return decoded


_decoder = msgspec.json.Decoder(Event)


def keep_state(events: Any) -> Any:
    """The three windows of each service by one stateful operator."""
    return op.stateful_batch("windows", events, Windows)


def build(job: common.Job, windows: Any) -> Dataflow:
    """The dataflow; it ends with the topic. `windows`: events by service to (window, start, state) by service."""
    flow = Dataflow("peer")
    source = KafkaSource([job.broker], [job.topic], tail=False, batch_size=BATCH)
    seen = 0

    def read(messages: list[Any]) -> list[tuple[str, Event]]:
        nonlocal seen
        if seen == 0:
            common.say("began")
        seen += len(messages)
        print(f"{seen:,} of {job.events:,} events seen", flush=True)
        return decode(messages)

    events = op.flat_map_batch("decode", op.input("kafka", flow, source), read)
    if job.store:
        op.output("raw", events, Output(_raw_writer(common.Database())))
    op.output("rows", windows(events), Output(_window_writer(job)))
    return flow


def _raw_writer(database: common.Database) -> Any:
    def write(items: list[tuple[str, Event]]) -> None:
        # In the order of RAW_COLUMNS; 1 is the topic's incarnation.
        database.copy_raw(
            (*fields[:9], 1, *fields[9:11])
            for _, e in items
            for fields in (msgspec.structs.astuple(e),)
        )

    return write


def _window_writer(job: common.Job) -> Any:
    tally = common.Tally(job)
    database = common.Database() if job.store else None

    def write(items: list[tuple[str, Any]]) -> None:
        if database is not None:
            database.upsert({(window, service, at): s for service, (window, at, s) in items})
            return
        for service, (window, start_s, state) in items:
            tally.put(window, service, start_s, state)

    return write


def run(windows: Any) -> None:
    """Run it to the end of the topic."""
    with tempfile.TemporaryDirectory(prefix="bench-bytewax-") as name:
        init_db_dir(Path(name), 1)
        cli_main(
            build(common.Job.of_environment(), windows),
            epoch_interval=SNAPSHOT_EVERY,
            recovery_config=RecoveryConfig(name),
        )


if __name__ == "__main__":
    run(keep_state)
