"""What an event costs the worker, stage by stage, without broker and database: where to look before optimising.

Prepared records go through the worker's own functions, one after the other, in this process and thread; the figures
are CPU time. What the pieces cost around them (fetching, COPY's socket, locks) is not in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final, TypeVar

import pyarrow as pa
from aiokafka.structs import ConsumerRecord

from analytics_service.adapters.timescale.copy_columns import fields
from analytics_service.adapters.timescale.event_copy_text import event_lines
from analytics_service.adapters.timescale.window_copy_text import window_lines
from analytics_service.domain.aggregation import Cell, roll_up
from analytics_service.domain.decoding import decode_batch
from analytics_service.domain.delta import Delta
from analytics_service.domain.events import EventRules
from analytics_service.domain.folding import fold_columns
from analytics_service.domain.windows import WINDOWS
from analytics_service.ingest.decode import decode_work
from analytics_service.ingest.session import PartitionBatch, Session
from analytics_service.ingest.work import Part
from bench.events import Recipe

DAY_US: Final = 86_400_000_000
RULES: Final = EventRules(default_tz=UTC, max_future_us=300_000_000, max_age_us=7 * DAY_US)
THRESHOLD: Final = 0.8
EXAMPLES: Final = """\
examples:
  python -m bench.profile_worker
  python -m bench.profile_worker --events 200000 --repeats 7 --span 60
"""

T = TypeVar("T")


@dataclass(slots=True)
class Stopwatch:
    """CPU seconds of each stage, one entry a repeat."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    _now: dict[str, float] = field(default_factory=dict)

    def run(self, stage: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call the function, adding its CPU time to the stage."""
        before = time.process_time()
        result = function(*arguments)
        self._now[stage] = self._now.get(stage, 0.0) + time.process_time() - before
        return result

    def next_repeat(self) -> None:
        """Close one repeat."""
        for stage, seconds in self._now.items():
            self.seconds.setdefault(stage, []).append(seconds)
        self._now = {}


def records_of(values: Sequence[bytes], partitions: int, batch: int) -> list[PartitionBatch]:
    """The values as the consumer hands them over: batches of one partition, the partitions in turn."""
    session = Session("events", "id", 1, {}, {})
    now_ms = time.time_ns() // 1_000_000
    batches = []
    for at in range(0, len(values), batch * partitions):
        chunk = values[at : at + batch * partitions]
        for partition in range(partitions):
            first = at // partitions
            records = [
                ConsumerRecord(
                    "events", partition, first + i, now_ms, 0, None, value, None, 0, len(value), ()
                )
                for i, value in enumerate(chunk[partition::partitions])
            ]
            if records:
                end = first + len(records)
                batches.append(
                    PartitionBatch(session, partition, records[0].offset, end, 0, records)
                )
    return batches


def run_once(
    watch: Stopwatch, batches: Sequence[PartitionBatch], flush_events: int, now_us: int
) -> None:
    """Everything a worker does with the batches, flush by flush."""
    stored: list[dict[Cell, Delta]] = [{} for _ in WINDOWS]
    gathered: list[PartitionBatch] = []
    for batch in batches:
        gathered.append(batch)
        if sum(len(each.records) for each in gathered) >= flush_events:
            flush(watch, gathered, stored, now_us)
            gathered = []
    if gathered:
        flush(watch, gathered, stored, now_us)


def flush(
    watch: Stopwatch,
    gathered: list[PartitionBatch],
    stored: list[dict[Cell, Delta]],
    now_us: int,
) -> None:
    """What the worker does for a flush, the database left out: `stored` holds the window rows."""
    values = [record.value for batch in gathered for record in batch.records]
    watch.run("decode_batch", decode_batch, values, RULES, now_us)
    work = watch.run(
        "decode_work (with decode_batch)", decode_work, gathered[0].session, gathered, RULES, now_us
    )
    for part in work.parts:
        watch.run("event_lines", copy_lines, part)
    minutes = watch.run("fold_columns", fold_columns, work.all_events(), THRESHOLD)
    for window, rows in zip(WINDOWS, stored, strict=True):
        cells = watch.run("roll_up", roll_up, minutes, window)
        written = watch.run("merge into kept rows", merge, cells, rows)
        watch.run("window rows as COPY text", window_text, written)


def copy_lines(part: Part) -> memoryview:
    """The COPY text of a part."""
    return event_lines(part.events.columns, part.offsets, 1, part.partition, plain=part.plain)


def merge(cells: dict[Cell, Delta], rows: dict[Cell, Delta]) -> dict[Cell, Delta]:
    """The cells merged into the rows that are there; returns those they are now."""
    for key in sorted(cells):
        if key not in rows:
            rows[key] = Delta()
        rows[key].merge_from(cells[key])
    return {key: rows[key] for key in cells}


def window_text(written: dict[Cell, Delta]) -> memoryview:
    """The rows as they go to the staging table."""
    starts, services = pa.array([key[1] for key in written]), pa.array([key[0] for key in written])
    deltas = list(written.values())
    text = window_lines((fields(starts), fields(services)), deltas, [True] * len(deltas))
    for delta in deltas:
        delta.was_written()
    return text


def main() -> int:
    """Print a table of microseconds an event for each stage."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile_worker",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=100_000, help="events (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="repeats (default: %(default)s)")
    parser.add_argument(
        "--batch", type=int, default=10_000, help="events of one fetched batch (%(default)s)"
    )
    parser.add_argument(
        "--flush", type=int, default=50_000, help="events of one flush (%(default)s)"
    )
    parser.add_argument("--partitions", type=int, default=6, help="partitions (%(default)s)")
    parser.add_argument(
        "--span", type=float, default=None,
        help="seconds of event time; default: as in bench.end_to_end, 1200 s for a million",
    )  # fmt: skip
    options = parser.parse_args()
    span = options.span if options.span is not None else 1200 * options.events / 1e6
    now_us = time.time_ns() // 1000
    values = [v for block in Recipe(options.events, now_us, span).blocks() for v in block.values]
    watch = Stopwatch()
    for _ in range(options.repeats):
        run_once(
            watch, records_of(values, options.partitions, options.batch), options.flush, now_us
        )
        watch.next_repeat()
    print(f"{options.events:,} events of {sum(map(len, values)) / len(values):.0f} bytes over {span:g} s, "
          f"{options.partitions} partitions, batches of {options.batch:,}, flushes of {options.flush:,}")  # fmt: skip
    print(f"median of {options.repeats} repeats, CPU microseconds an event (least to most)\n")
    total = 0.0
    for stage, seconds in watch.seconds.items():
        micros = [1e6 * each / options.events for each in seconds]
        median = statistics.median(micros)
        total += 0.0 if stage == "decode_batch" else median
        print(f"  {stage:34}{median:7.3f}   ({min(micros):.3f} to {max(micros):.3f})")
    print(f"  {'all':34}{total:7.3f}   = {1e6 / total:,.0f} events/s of one core")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
