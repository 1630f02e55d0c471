"""`stacklens recalculate` beside a worker that stores events into the very same windows."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from analytics_service.entrypoints.cli.main import run as run_cli
from tests.integration.streaming import SPAN_S, plain_events
from tests.integration.whole_way import WholeWay
from tests.integration.worker_process import STACKLENS
from tests.reference.compare import compare_windows
from tests.waiting import wait_until

SEED = 99
JOBS = 3
ODD = ("it's", 'say "hi"', "back\\slash", "日本 語", "{a,b}", "-2h", "x" * 255, "%s", "tab\there")
TABLES = ("analytics_metrics_1min", "analytics_metrics_5min", "analytics_metrics_1hour")
PROGRESS = re.compile(r"job \d+: .*%")
RANGE = ("--from", "-4h", "--to", "now")


class Run:
    """`stacklens recalculate run` as a process."""

    def __init__(self, way: WholeWay, name: str = "run") -> None:
        self._log = way.directory / f"recalculate-{name}.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [STACKLENS, "recalculate", "run"],
                env={**os.environ, **way.env},
                cwd=way.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()


@contextlib.contextmanager
def running(way: WholeWay, *names: str) -> Iterator[list[Run]]:
    """Processes that are gone at the end, their output printed."""
    runs = [Run(way, name) for name in names]
    try:
        yield runs
    finally:
        for each in runs:
            each.process.kill()
            each.process.wait()
            print(each.output)


@pytest.fixture
def stacklens(
    way: WholeWay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command in this process: exit status and what it printed, without the progress of whatever takes long."""
    monkeypatch.chdir(way.directory)
    for name, value in way.env.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> tuple[int, str]:
        status = run_cli(["recalculate", *arguments])
        printed = capsys.readouterr()
        told = [line for line in printed.err.splitlines(keepends=True) if not PROGRESS.match(line)]
        return status, printed.out + "".join(told)

    return call


Stacklens = Callable[..., tuple[int, str]]


def odd_events(count: int, span_s: float = SPAN_S) -> Iterator[bytes]:
    """Events of services with odd names, some without figures."""
    rng = random.Random(SEED)
    for number in range(count):
        event = {
            "timestamp": time.time() - 60 - rng.random() * span_s,
            "service": rng.choice(ODD),
            "level": rng.choice(["info", "ERR", "fatal", "trace"]),
            "latency_ms": rng.choice([None, 0, 1e-9, 12.5]),
            "risk_score": rng.choice([None, 0.8, 0.81]),
            "user_id": rng.choice([None, "", f"u{number % 40}"]),
            "source_ip": rng.choice([None, "10.1.2.3", "2001:DB8::1", "::ffff:1.2.3.4"]),
        }
        yield json.dumps(event).encode()


def corrupt(way: WholeWay, table: str) -> None:
    """Wrong counts, wrong histograms, rows gone, and rows of nothing."""
    with way.database.cursor() as cursor:
        for change in (
            "UPDATE {} SET total_requests = total_requests + 7 WHERE hashtext(service) % 3 = 0",
            "UPDATE {} SET latency_bucket_counts[1] = 1000 WHERE latency_count > 0 AND hashtext(service) % 3 = 1",
            "UPDATE {} SET users_sketch = NULL, latency_max_ms = 1e9 WHERE hashtext(service) % 5 = 2",
            # After the updates, which need rows; a quarter, whatever the hashes of these times are.
            """DELETE FROM {} WHERE (service, timestamp) IN (
                   SELECT service, timestamp FROM {} ORDER BY hashtext(service || timestamp::text)
                   LIMIT (SELECT 1 + count(*) / 4 FROM {}))""",
            """INSERT INTO {} (timestamp, service, total_requests)
               SELECT timestamp, 'ghost', 5 FROM {} LIMIT 3 ON CONFLICT DO NOTHING""",
        ):
            cursor.execute(change.replace("{}", table))
            assert cursor.rowcount > 0, change


def corrupt_all(way: WholeWay) -> None:
    """All three tables."""
    for table in TABLES:
        corrupt(way, table)
    assert way.differences(raw_rows=False)


def feed_while(way: WholeWay, seed: int, is_wanted: Callable[[], bool], most: int = 20_000) -> int:
    """Small batches of events all over the range, each stored before the next, until nobody wants more."""
    fed = 0
    while is_wanted() and fed < most:
        way.send_values(plain_events(seed + fed, 400))
        way.wait_settled()
        fed += 400
    return fed


def enqueued(call: Stacklens, *more: str) -> None:
    status, output = call("enqueue", "--job-type", "RECALC_WINDOWS", *RANGE, *more)
    assert status == 0, output


def job_row(way: WholeWay, job_id: int = 1) -> tuple[str, str, datetime, int]:
    (row,) = way.database.rows(
        "SELECT status, step, position, attempts FROM recalculation_queue WHERE id = %s", job_id
    )
    return row


@pytest.mark.slow
def test_rebuilt_exactly_while_events_go_on_coming_in(way: WholeWay, stacklens: Stacklens) -> None:
    worker = way.start()
    way.send_values([*plain_events(SEED, 4_000), *odd_events(1_000)])
    way.wait_settled()
    corrupt_all(way)
    for _ in range(JOBS):  # the same range again and again: enough time for many flushes
        enqueued(stacklens, "--reason", "a test")
    with running(way, "only") as (rebuilding,):
        fed = feed_while(way, SEED, lambda: rebuilding.process.poll() is None)
        assert rebuilding.process.wait(120) == 0
        assert f"Job {JOBS}: completed." in rebuilding.output
    assert fed >= JOBS * 400, "events came in all the while"
    assert way.differences() == []
    assert worker.exit_code is None
    report = way.directory / "status.json"
    status, output = stacklens("status", "--output-json", str(report))
    assert status == 0
    assert "COMPLETED" in output
    job = json.loads(report.read_text())["jobs"][-1]
    assert job["status"] == "COMPLETED"
    assert job["steps_done"] == job["steps_total"]
    assert job["rows_written"] > 0
    assert job["reason"] == "a test"


@pytest.mark.slow
def test_killed_in_the_middle_and_gone_on_with(way: WholeWay, stacklens: Stacklens) -> None:
    way.start()
    way.send_values([*plain_events(SEED, 4_000), *odd_events(500)])
    way.wait_settled()
    corrupt_all(way)
    enqueued(stacklens)
    begin = way.database.rows("SELECT from_time FROM recalculation_queue")[0][0]
    some_way = begin + timedelta(hours=2)
    with contextlib.closing(way.database.connect()) as holder, holder.cursor() as cursor:
        # However fast it is, it gets no further than a little beyond the middle.
        holder.autocommit = False
        cursor.execute(
            "SELECT 1 FROM analytics_metrics_1min WHERE timestamp >= %s FOR UPDATE",
            (some_way + timedelta(minutes=10),),
        )
        assert cursor.rowcount > 0
        with running(way, "killed") as (first,):
            wait_until(lambda: (job_row(way)[2] or begin) >= some_way, 120, "it is in the middle")
            first.process.kill()
            first.process.wait()
        holder.rollback()
    status, step, position, _ = job_row(way)
    assert (status, step) == ("RUNNING", "1min")
    code, output = stacklens("run", "--once")
    assert (code, "Nothing was waiting." in output) == (0, True), "it is still claimed"
    # As if the claim's time were over.
    way.database.execute("UPDATE recalculation_queue SET claimed_until = now()")
    with running(way, "next") as (second,):
        feed_while(way, SEED + 1, lambda: second.process.poll() is None)
        assert second.process.wait(120) == 0
    status, step, end, attempts = job_row(way)
    assert (status, step, attempts) == ("COMPLETED", "1hour", 2)
    assert end > position
    assert way.differences() == []


@pytest.mark.slow
def test_two_runs_two_jobs_and_a_worker_on_the_same_rows(
    way: WholeWay, stacklens: Stacklens
) -> None:
    way.start()
    way.send_values([*plain_events(SEED, 3_000), *odd_events(300)])
    way.wait_settled()
    corrupt_all(way)
    enqueued(stacklens)
    enqueued(stacklens)
    enqueued(stacklens, f"--service={ODD[0]}")
    with running(way, "one", "other") as runs:
        feed_while(way, SEED + 2, lambda: any(each.process.poll() is None for each in runs))
        assert [each.process.wait(120) for each in runs] == [0, 0]
    done = way.database.rows("SELECT status, attempts FROM recalculation_queue")
    assert done == [("COMPLETED", 1)] * 3
    assert way.differences() == []


def test_one_service_and_no_other(way: WholeWay, stacklens: Stacklens) -> None:
    worker = way.start()
    way.send_values(odd_events(400, span_s=3000))
    way.wait_settled()
    assert worker.terminate() == 0
    way.database.execute("UPDATE analytics_metrics_1min SET total_requests = 0")
    for service in ODD:
        enqueued(stacklens, f"--service={service}")
        assert stacklens("run")[0] == 0
        wrong = way.database.rows(
            "SELECT DISTINCT service FROM analytics_metrics_1min WHERE total_requests = 0"
        )
        assert {row[0] for row in wrong} == set(ODD[ODD.index(service) + 1 :])
    assert way.differences() == []


@pytest.mark.parametrize("windows", ["1hour", "5min,1hour", "1min,1hour"])
def test_only_the_windows_that_are_kept(
    way: WholeWay, stacklens: Stacklens, monkeypatch: pytest.MonkeyPatch, windows: str
) -> None:
    way.env["AGGREGATION_WINDOWS"] = windows
    monkeypatch.setenv("AGGREGATION_WINDOWS", windows)
    worker = way.start()
    way.send_values(odd_events(300))
    way.wait_settled()
    assert worker.terminate() == 0
    names = windows.split(",")
    for name in names:
        corrupt(way, f"analytics_metrics_{name}")
    enqueued(stacklens)
    assert stacklens("run") == (0, "Job 1: completed.\n")
    expected = way.expected()
    with contextlib.closing(way.database.connect()) as connection:
        for name in names:
            table, figures = f"analytics_metrics_{name}", expected.figures(name)
            assert list(compare_windows(connection, table, figures)) == []


def test_ranges_and_jobs_that_are_refused(way: WholeWay, stacklens: Stacklens) -> None:
    way.start().wait_ready()  # which migrates
    limit = datetime.now(UTC).replace(minute=20, second=0, microsecond=0) - timedelta(hours=6)
    for tier, behind in (("hot", 0), ("cold", 5)):
        way.database.execute(
            "UPDATE retention_tiers SET archived_before = %s WHERE tier = %s",
            limit - timedelta(hours=behind),
            tier,
        )
    hour = limit.replace(minute=0)
    first = hour + timedelta(hours=1)

    def ask(*arguments: str) -> tuple[int, str]:
        return stacklens("enqueue", "--job-type", "RECALC_WINDOWS", *arguments)

    for begin in (hour - timedelta(hours=2), hour, limit, first - timedelta(microseconds=1)):
        status, output = ask("--from", begin.isoformat(), "--to", "now")
        assert status == 2
        assert f"it may begin at {first.isoformat()}" in " ".join(output.split())
    for arguments, words in (
        (("--from", "-1h"), "needs --from and --to"),
        (("--from", "now", "--to", "-1h"), "the range is empty"),
        (("--from", "yesterday", "--to", "now"), "ISO 8601"),
        (("--from", "-1h", "--to", "now", "--service", ""), "1 to 255 characters"),
        (("--from", "-1h", "--to", "now", "--service", "y" * 256), "1 to 255 characters"),
        (("--from", "-1h", "--to", "now", "--service", "\udcff"), "not UTF-8"),
    ):
        status, output = ask(*arguments)
        assert (status, words in output) == (2, True), output
    status, output = stacklens("enqueue", "--job-type", "RECALC_ALERTS", "--to", "now")
    assert (status, "RECALC_ALERTS needs --from and --to" in output) == (2, True)
    status, output = stacklens("enqueue", "--job-type", "REFRESH_VIEWS", "--service", "s")
    assert (status, "about everything" in output) == (2, True)
    assert way.database.rows("SELECT count(*) FROM recalculation_queue") == [(0,)]
    assert ask("--from", first.isoformat(), "--to", "now")[0] == 0


def test_archived_while_it_waited(way: WholeWay, stacklens: Stacklens) -> None:
    worker = way.start()
    way.send_values(odd_events(300))
    way.wait_settled()
    worker.terminate()
    enqueued(stacklens)
    before = way.database.rows(
        "SELECT revision FROM analytics_metrics_1min ORDER BY service, timestamp"
    )
    way.database.execute("UPDATE retention_tiers SET archived_before = now() WHERE tier = 'hot'")
    status, output = stacklens("run")
    assert status == 1
    assert "Job 1: failed." in output
    (row,) = way.database.rows("SELECT status, last_error, finished_at FROM recalculation_queue")
    assert row[0] == "FAILED"
    assert "was archived before window 1min" in row[1]
    assert row[2] is not None
    after = way.database.rows(
        "SELECT revision FROM analytics_metrics_1min ORDER BY service, timestamp"
    )
    assert after == before
    status, output = stacklens("run", "--job", "1")
    assert (status, "enqueue it anew" in output) == (1, True)
    assert stacklens("run", "--job", "5") == (1, "stacklens: there is no job 5\n")
    assert stacklens("status", "--job", "5") == (1, "stacklens: there is no job 5\n")
    assert "FAILED" in stacklens("status")[1]


def test_refreshing_the_daily_level_and_rebuilding_a_day_that_is_over(
    way: WholeWay, stacklens: Stacklens
) -> None:
    worker = way.start()
    at = datetime.now(UTC) - timedelta(days=2)
    way.send_values(
        json.dumps({"timestamp": at.isoformat(), "service": "s", "level": "info"}).encode()
        for _ in range(12)
    )
    way.wait_settled()
    worker.terminate()
    days = "SELECT is_valid, total_requests FROM analytics_metrics_1day"
    assert stacklens("enqueue", "--job-type", "REFRESH_VIEWS")[0] == 0
    assert stacklens("run") == (0, "Job 1: completed.\n")
    assert way.database.rows(days) == [(True, 12)]
    for table in TABLES:
        way.database.execute(f"UPDATE {table} SET total_requests = 99")  # noqa: S608  # fixed names
    begin, end = (at - timedelta(minutes=1)).isoformat(), (at + timedelta(minutes=1)).isoformat()
    windows = ("enqueue", "--job-type", "RECALC_WINDOWS", "--from", begin, "--to", end)
    assert stacklens(*windows)[0] == 0
    assert stacklens("run") == (0, "Job 2: completed.\n")
    assert way.database.rows(days) == [(False, 12)]
    assert stacklens("enqueue", "--job-type", "REFRESH_VIEWS", "--reason", "again")[0] == 0
    assert stacklens("run", "--job", "3", "--once") == (0, "Job 3: completed.\n")
    assert way.database.rows(days) == [(True, 12)]
    assert way.differences() == []
