"""`python -m bench.scale`: how cost grows with workers and with services.

Workers: 1, 2 and 4 of one group on 12 partitions, started before the events are sent, so that a rebalance is not in the
figures; the CPU of all of them together, what they use while idle left out. Services: 20, 1,000 and 5,000, a backlog
that one worker reads, and live at a steady rate. Everything is checked against a brute-force pass before it counts.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from analytics_service.adapters.timescale.migrations import Migrator
from bench.child import Child
from bench.events import Recipe
from bench.figures import Line, Promise
from bench.live import LiveResult, run_live
from bench.load import fill, run_load
from bench.proc import cpu_seconds, peak_memory_bytes
from bench.progress import Progress
from bench.running import parser_of, run_measurement
from bench.site import ROOT, SECONDS_TO_BEGIN, SESSION_BEGAN, Site
from bench.truth import WINDOWS, brute_force
from bench.verify import verify_raw_rows, verify_totals, verify_windows

RESULTS = ROOT / "bench" / "results" / "scale.json"
PARTITIONS = 12
WORKERS = (1, 2, 4)
SERVICES = (20, 1_000, 5_000)
IDLE_S = 10.0
LONGEST_S = 600.0
EXAMPLES = """\
examples:
  python -m bench.scale                 some 8 minutes
  python -m bench.scale --events 200000 --live-seconds 10

exit status: 0 every promise kept, 1 a promise missed or a result wrong, 2 usage
"""


@dataclass(frozen=True, slots=True)
class Shared:
    """What several workers together cost; CPU in microseconds an event, memory of the largest in bytes."""

    workers: int
    rate: float
    cpu_us: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Wide:
    """What many services cost: a backlog's rate and CPU, the largest peak in bytes, and live latencies."""

    services: int
    rate: float
    worker_cpu_us: float
    session_cpu_us: float
    vacuum_cpu_us: float
    wal_bytes: float
    peak_memory_bytes: int
    live: LiveResult


def share(site: Site, workers: int, events: int, progress: Progress) -> Shared:
    """So many workers take the events as they are sent."""
    topic = site.make_topic(f"workers{workers}")
    recipe = Recipe(events, time.time_ns() // 1000)
    with site.database(f"workers{workers}") as database, contextlib.ExitStack() as running:
        Migrator(site.settings(database, topic)).up()
        started = [
            running.enter_context(site.worker(database, topic, f"{database}-group"))
            for _ in range(workers)
        ]
        for worker in started:
            worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
        progress.say(f"{workers} workers have begun; looking at them idle for {IDLE_S:g} s")
        idle = _cpu(started)
        time.sleep(IDLE_S)
        idle = (_cpu(started) - idle) / IDLE_S
        before, began = _cpu(started), time.monotonic()
        columns = fill(site, topic, recipe, progress)
        seconds = _wait(site, database, topic, events, started, progress) - began
        cpu = _cpu(started) - before - idle * seconds
        memory = max(peak_memory_bytes(worker.pid) for worker in started)
        conn = site.connect(database)
        verify_raw_rows(conn, site.ends(topic))
        verify_windows(conn, {name: brute_force(columns, size) for name, size in WINDOWS.items()})
        conn.close()
    return Shared(workers, events / seconds, 1e6 * cpu / events, memory)


def widen(
    site: Site, services: int, events: int, rate: int, seconds: float, progress: Progress
) -> Wide:
    """One worker, so many services: a backlog, then live."""
    topic = site.make_topic(f"services{services}")
    fill(site, topic, Recipe(events, time.time_ns() // 1000, services=services), progress)
    with site.database(f"services{services}") as database:
        load = run_load(site, database, topic, f"{database}-group", progress)
        conn = site.connect(database)
        verify_raw_rows(conn, site.ends(topic))
        verify_totals(conn, events)
        conn.close()
    progress.say(f"{services:,} services, {rate:,} events/s for {seconds:g} s")
    name = f"live{services}"
    with site.database(name) as database:
        live = run_live(site, database, site.make_topic(name), rate, seconds, progress, services)
    return Wide(
        services,
        load.rate,
        1e6 * load.worker_cpu_s / events,
        1e6 * (load.session_cpu_s or 0.0) / events,
        1e6 * (load.vacuum_cpu_s or 0.0) / events,
        load.wal_bytes / events,
        max(load.peak_memory_bytes, live.peak_memory_bytes),
        live,
    )


def lines_of(shared: list[Shared], wide: list[Wide]) -> list[Line]:
    """The table."""
    lines = []
    for each in shared:
        name = f"{each.workers} workers, {PARTITIONS} partitions"
        lines.append(Line(f"{name}: CPU an event", [each.cpu_us], "{:.2f} us"))
        lines.append(Line("  while they were sent", [each.rate], "{:,.0f}/s"))
        memory = [each.peak_memory_bytes / 1e6]
        lines.append(Line("  largest of them", memory, "{:.0f} MB", Promise("below", 300)))
    if len(shared) > 1:
        growth = [each.cpu_us / shared[0].cpu_us for each in shared]
        lines.append(
            Line("CPU an event, most against 1 worker", [max(growth)], "{:.2f}", Promise("most", 1.15))
        )  # fmt: skip
    for one in wide:
        lines.append(Line(f"{one.services:,} services: backlog", [one.rate], "{:,.0f}/s"))
        lines.append(Line("  CPU an event: worker", [one.worker_cpu_us], "{:.1f} us"))
        lines.append(
            Line("  CPU an event: its database session", [one.session_cpu_us], "{:.1f} us")
        )
        lines.append(Line("  CPU an event: vacuuming", [one.vacuum_cpu_us], "{:.1f} us"))
        lines.append(Line("  WAL an event", [one.wal_bytes], "{:,.0f} B"))
        many = one.services > SERVICES[0]
        limits = (3.0, 600) if many else (1.0, 300)
        lines.append(
            Line("  live: visible after, p99", [one.live.p99_s], "{:.2f} s", Promise("most", limits[0]))
        )  # fmt: skip
        memory = [one.peak_memory_bytes / 1e6]
        lines.append(Line("  peak memory", memory, "{:.0f} MB", Promise("most", limits[1])))
    return lines


def _cpu(workers: list[Child]) -> float:
    return sum(cpu_seconds(worker.pid) for worker in workers)


def _wait(
    site: Site,
    database: str,
    topic: str,
    events: int,
    workers: list[Child],
    progress: Progress,
) -> float:
    """The monotonic time at which the stored offsets were first seen at the end of the topic."""
    conn = site.connect(database)
    deadline = time.monotonic() + LONGEST_S
    with contextlib.closing(conn), conn.cursor() as cur:
        while time.monotonic() < deadline:
            cur.execute(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM kafka_offsets WHERE topic = %s",
                (topic,),
            )
            ((stored,),) = cur.fetchall()
            if stored >= events:
                return time.monotonic()
            for worker in workers:
                worker.check()
            progress.tick(f"{stored:,} of {events:,} events stored by {len(workers)} workers")
            time.sleep(0.05)
    raise workers[0].trouble(f"{events:,} events were not stored in {LONGEST_S:g} s")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = parser_of("bench.scale", __doc__, EXAMPLES, RESULTS)
    parser.add_argument("--events", type=int, default=600_000, help="of each part (%(default)s)")
    parser.add_argument("--rate", type=int, default=10_000, help="events/s live (%(default)s)")
    parser.add_argument("--live-seconds", type=float, default=25.0, help="(%(default)g)")
    return parser.parse_args(arguments)


def measure(
    options: argparse.Namespace, site: Site, progress: Progress
) -> tuple[dict[str, Any], list[Line]]:
    """What goes into the results file, and its table."""
    wider = replace(site, partitions=PARTITIONS)
    shared = [share(wider, workers, options.events, progress) for workers in WORKERS]
    wide = [
        widen(site, services, options.events, options.rate, options.live_seconds, progress)
        for services in SERVICES
    ]
    content = {
        "events": options.events,
        "rate": options.rate,
        "workers": [asdict(each) for each in shared],
        "services": [asdict(each) for each in wide],
    }
    return content, lines_of(shared, wide)


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parse(arguments)
    return run_measurement("scale", options.output, partial(measure, options))


if __name__ == "__main__":
    raise SystemExit(main())
