"""`python -m bench.memory`: a worker's memory over a long backlog, then with a database that has slowed to a crawl.

Nothing is timed: the figure is the peak of the resident memory, which has to stay under the promise in both cases.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import psycopg2
from psycopg2 import sql

from analytics_service.adapters.timescale.migrations import Migrator
from bench.child import Child
from bench.errors import WrongResult
from bench.events import Recipe
from bench.load import fill
from bench.proc import peak_memory_bytes
from bench.progress import Progress
from bench.running import FAILURES
from bench.site import ROOT, SECONDS_TO_BEGIN, SESSION_BEGAN, Site
from bench.verify import verify_raw_rows, verify_totals
from devstack.api import running_stack

PROMISE_MB = 300
POLL_S = 0.5
LONGEST_S = 1800.0
RESULTS = ROOT / "bench" / "results" / "memory.json"
# Each flush writes 1min windows once: this makes it take seconds, whatever it carries.
CRAWL = """
    CREATE FUNCTION stacklens.crawl() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
    CREATE TRIGGER crawl AFTER INSERT ON analytics_metrics_1min
    FOR EACH STATEMENT EXECUTE FUNCTION stacklens.crawl()
"""


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status: 0 within the promise, 1 above it or wrong rows."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000, help="backlog (%(default)s)")
    parser.add_argument(
        "--crawl-seconds", type=float, default=90.0, help="how long at a crawl (%(default)s)"
    )
    parser.add_argument(
        "--flush-seconds", type=float, default=4.0, help="a flush at a crawl (%(default)s)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file (%(default)s)")
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="stacklens-bench-") as name,
            running_stack(environ={}) as stack,
        ):
            site = Site(stack, Path(name))
            topic = site.make_topic("backlog")
            progress.say(f"sending {options.events:,} events to Kafka")
            fill(site, topic, Recipe(options.events, time.time_ns() // 1000), progress)
            figures = {
                "events": options.events,
                "crawl_peak_bytes": _crawl(site, topic, options, progress),
                "backlog_peak_bytes": _backlog(site, topic, options.events, progress),
            }
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return _report(figures, options.output)


def _report(figures: dict[str, int], output: Path) -> int:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    kept = True
    for what, name in (
        ("a backlog", "backlog_peak_bytes"),
        ("a crawling database", "crawl_peak_bytes"),
    ):
        peak = figures[name] / 2**20
        kept = kept and peak < PROMISE_MB
        print(
            f"peak memory, {what:<20} < {PROMISE_MB} MB   {peak:6.0f} MB   {'pass' if peak < PROMISE_MB else 'MISSED'}"
        )
    return 0 if kept else 1


def _backlog(site: Site, topic: str, events: int, progress: Progress) -> int:
    """Peak resident bytes of a worker that reads all of it; every event must be stored once."""
    with site.database("backlog") as database:
        Migrator(site.settings(database, topic)).up()
        conn = site.connect(database)
        with site.worker(database, topic, f"{database}-group") as worker:
            worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
            wait_stored(conn, worker, events, progress)
            peak = peak_memory_bytes(worker.pid)
        verify_raw_rows(conn, site.ends(topic))
        verify_totals(conn, events)
        conn.close()
    progress.say("each event once")
    return peak


def _crawl(site: Site, topic: str, options: argparse.Namespace, progress: Progress) -> int:
    """Peak resident bytes of a worker whose flushes take seconds, with the whole backlog ahead of it."""
    with site.database("crawl") as database:
        Migrator(site.settings(database, topic)).up()
        site.execute(sql.SQL(CRAWL).format(seconds=sql.Literal(options.flush_seconds)), database)
        conn = site.connect(database)
        with site.worker(database, topic, f"{database}-group") as worker:
            worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
            end = time.monotonic() + options.crawl_seconds
            while time.monotonic() < end:
                worker.check()
                progress.tick(f"at a crawl: {_stored(conn):,} events stored")
                time.sleep(POLL_S)
            peak = peak_memory_bytes(worker.pid)
        if not 0 < _stored(conn) < options.events:
            raise WrongResult("the database was to crawl: some events stored, not all")
        conn.close()
    return peak


def wait_stored(
    conn: psycopg2.extensions.connection, worker: Child, events: int, progress: Progress
) -> None:
    """Return once so many events are stored. Raises WrongResult when that takes too long."""
    end = time.monotonic() + LONGEST_S
    while (stored := _stored(conn)) < events:
        worker.check()
        if time.monotonic() > end:
            raise WrongResult(f"{stored:,} of {events:,} events stored after {LONGEST_S:g} s")
        progress.tick(f"{stored:,} of {events:,} events stored")
        time.sleep(POLL_S)


def _stored(conn: psycopg2.extensions.connection) -> int:
    with conn.cursor() as cur:
        cur.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM kafka_offsets")
        row = cur.fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    raise SystemExit(main())
