"""The daily level: every valid day is what its windows say, whatever is written late and whenever it is built."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.daily import build_days, build_step, invalidate_days
from analytics_service.adapters.timescale.flush import prepare_connection
from analytics_service.adapters.timescale.window_store import merge_cells
from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.events import EVENT_FIELDS
from analytics_service.domain.events import Event as ProductEvent
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import window_named
from tests.databases import Database
from tests.integration.patience import be_patient
from tests.integration.whole_way import WholeWay
from tests.reference.brute_force import CellKey, Figures, Rules, Window, judge
from tests.reference.compare import compare_windows
from tests.reference.fields import Event
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("same_day")

SEED = 4_711
DAY_S = 86_400
HOUR = window_named("1hour")
# Not yesterday: in the first minutes of a day it is not due yet.
DAYS = (0, 2, 3, 4)
SERVICES = ("a", "B", "ä b", 'o"dd\\{,}', "日本")
STALE = """
    SELECT day.service, day.timestamp, day.total_requests FROM analytics_metrics_1day AS day
    WHERE day.is_valid AND day.total_requests IS DISTINCT FROM (
        SELECT sum(hour.total_requests) FROM analytics_metrics_1hour AS hour
        WHERE hour.service = day.service AND hour.timestamp >= day.timestamp
            AND hour.timestamp < day.timestamp + interval '24 hours'
    )
"""


def today_s() -> int:
    """The start of the running UTC day."""
    return int(time.time()) // DAY_S * DAY_S


def event_value(rng: random.Random, days_ago: int) -> bytes:
    """An event of one of the services, some time in the day that many days ago."""
    at = min(today_s() - days_ago * DAY_S + rng.random() * DAY_S, time.time())
    return json.dumps(
        {
            "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
            "service": rng.choice(SERVICES),
            "level": rng.choice(["info", "error"]),
            "latency_ms": rng.choice([None, rng.random() * 1000]),
            "risk_score": rng.choice([None, rng.random()]),
            "user_id": f"u{rng.randrange(60)}",
            "source_ip": f"10.0.0.{rng.randrange(90)}",
        }
    ).encode()


def as_event(value: bytes) -> Event:
    """The event as the reference reads it."""
    return judge(value, Rules(), time.time_ns() // 1000)


def days_of(events: list[Event]) -> dict[CellKey, Figures]:
    """The exact figures of every (service, day) before today."""
    days: dict[CellKey, Window] = {}
    today = today_s()
    for event in events:
        start = event.timestamp_us // 1_000_000 // DAY_S * DAY_S
        if start >= today:
            continue
        day = days.setdefault((event.service, start), Window())
        day.total += 1
        day.failed += event.level == "error"
        if event.latency_ms is not None:
            day.latencies.append(event.latency_ms)
        if event.risk_score is not None:
            day.risks.append(event.risk_score)
            day.high_risk += event.risk_score > Rules().high_risk
        if event.user_id is not None:
            day.users.add(event.user_id)
        if event.source_ip is not None:
            day.ips.add(event.source_ip)
    return {key: day.figures() for key, day in days.items()}


def hours_of(events: list[Event]) -> dict[Cell, Delta]:
    """What a flush would merge into the hourly windows."""
    product = [
        ProductEvent(**{name: getattr(event, name) for name in EVENT_FIELDS if name != "source_ip"})
        for event in events
    ]
    for given, event in zip(events, product, strict=True):
        event.source_ip = None if given.source_ip is None else ".".join(map(str, given.source_ip))
    return roll_up(fold_events(product, Rules().high_risk), HOUR)


@pytest.fixture
def connect(database: Database) -> Iterator[Callable[[], Connection]]:
    """Connections with transactions, closed at the end."""
    with contextlib.ExitStack() as closing:

        def make() -> Connection:
            connection = closing.enter_context(contextlib.closing(database.connect()))
            connection.autocommit = False
            prepare_connection(connection)
            be_patient(connection)
            return connection

        yield make


def merge(connection: Connection, cells: dict[Cell, Delta]) -> None:
    """Write windows, and stop before their days are marked."""
    with connection.cursor() as cursor:
        merge_cells(cursor, HOUR, cells)


def mark_and_commit(connection: Connection, cells: dict[Cell, Delta]) -> None:
    """The end of a flush."""
    with connection.cursor() as cursor:
        invalidate_days(cursor, cells, time.time())
    connection.commit()


def differences(database: Database, events: list[Event]) -> list[str]:
    """Where the daily rows, all of which must be valid, differ from the events."""
    invalid = "SELECT * FROM analytics_metrics_1day WHERE NOT is_valid"
    assert database.rows(invalid) == []
    with contextlib.closing(database.connect()) as connection:
        return list(compare_windows(connection, "analytics_metrics_1day", days_of(events)))


def test_late_writes_and_two_builders_at_once(
    database: Database, connect: Callable[[], Connection]
) -> None:
    rng = random.Random(SEED)
    stop = threading.Event()
    failures: list[BaseException] = []

    def build(connection: Connection) -> None:
        try:
            while not stop.is_set():
                build_step(connection, HOUR)
        except BaseException as error:  # told in the test's own thread
            failures.append(error)
            raise

    builders = [threading.Thread(target=build, args=(connect(),)) for _ in range(2)]
    writers = [connect(), connect()]
    events: list[Event] = []
    for builder in builders:
        builder.start()
    try:
        for _ in range(80):
            writer = rng.choice(writers)
            late = [
                as_event(event_value(rng, rng.choice(DAYS))) for _ in range(rng.randrange(1, 60))
            ]
            cells = hours_of(late)
            merge(writer, cells)
            assert database.rows(STALE) == []
            mark_and_commit(writer, cells)
            assert database.rows(STALE) == []
            events += late
    finally:
        stop.set()
        for builder in builders:
            builder.join(60)
    assert failures == []
    build_days(connect(), HOUR)
    assert differences(database, events) == []
    assert len(days_of(events)) == len(SERVICES) * (len(DAYS) - 1)


def one_event(days_ago: int, number: int = 0) -> list[Event]:
    return [as_event(event_value(random.Random(SEED + number), days_ago))]


def validity(database: Database) -> list[tuple[bool, int]]:
    return database.rows("SELECT is_valid, total_requests FROM analytics_metrics_1day")


def test_windows_written_before_and_committed_after_a_build(
    database: Database, connect: Callable[[], Connection]
) -> None:
    writer, builder = connect(), connect()
    cells = hours_of(one_event(2))
    merge(writer, cells)
    mark_and_commit(writer, cells)
    assert validity(database) == [(False, 0)]
    merge(writer, cells)  # a flush under way, its day not marked yet
    assert build_days(builder, HOUR) == 1
    assert validity(database) == [(True, 1)]
    mark_and_commit(writer, cells)
    assert validity(database) == [(False, 1)]
    assert build_days(builder, HOUR) == 1
    assert validity(database) == [(True, 2)]


def test_a_day_that_a_flush_has_marked_is_passed_over(
    database: Database, connect: Callable[[], Connection]
) -> None:
    writer, builder = connect(), connect()
    cells = hours_of(one_event(2))
    merge(writer, cells)
    mark_and_commit(writer, cells)
    merge(writer, cells)
    with writer.cursor() as cursor:
        invalidate_days(cursor, cells, time.time())
    # The row was invalid already: nothing is written to it, and yet it is held.
    assert build_days(builder, HOUR) == 0
    assert validity(database) == [(False, 0)]
    writer.commit()
    assert build_days(builder, HOUR) == 1
    assert validity(database) == [(True, 2)]


def test_a_builder_in_the_middle_makes_the_flush_wait(
    database: Database, connect: Callable[[], Connection]
) -> None:
    writer, builder = connect(), connect()
    cells = hours_of(one_event(2))
    merge(writer, cells)
    mark_and_commit(writer, cells)
    build_days(builder, HOUR)
    merge(writer, cells)
    with builder.cursor() as cursor:  # a builder that has its marker, and has read
        cursor.execute("SELECT 1 FROM analytics_metrics_1day FOR UPDATE")
    ending = threading.Thread(target=mark_and_commit, args=(writer, cells))
    ending.start()
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_until(lambda: database.rows(waits), 30, "the flush waits")
    with builder.cursor() as cursor:
        cursor.execute("UPDATE analytics_metrics_1day SET is_valid = true")
    builder.commit()
    ending.join(30)
    assert validity(database) == [(False, 1)]


def test_days_without_a_marker_today_and_archived_days(
    database: Database, connect: Callable[[], Connection]
) -> None:
    writer = connect()
    events = [event for days in DAYS for event in one_event(days, days)]
    merge(writer, hours_of(events))
    writer.commit()  # as if these days had been written while they were not over
    limit = datetime.fromtimestamp(today_s() - 3 * DAY_S, UTC)
    database.execute("UPDATE retention_tiers SET archived_before = %s WHERE tier = 'cold'", limit)
    assert build_days(connect(), HOUR) == 2
    rows = database.rows("SELECT timestamp FROM analytics_metrics_1day WHERE is_valid ORDER BY 1")
    assert [row[0] for row in rows] == [limit, limit + timedelta(days=1)]
    assert build_days(connect(), HOUR) == 0


def test_a_marker_whose_windows_are_gone_goes_too(
    database: Database, connect: Callable[[], Connection]
) -> None:
    writer = connect()
    cells = hours_of(one_event(2))
    merge(writer, cells)
    mark_and_commit(writer, cells)
    database.execute("DELETE FROM analytics_metrics_1hour")
    assert build_days(connect(), HOUR) == 0
    assert validity(database) == []


@pytest.mark.slow
def test_a_worker_marks_late_days_and_builds_them(way: WholeWay) -> None:
    rng = random.Random(SEED)
    values = [event_value(rng, rng.choice([2, 3, 5])) for _ in range(3_000)]
    first = way.start()
    way.send_values(values)
    way.wait_settled()
    marked = way.database.rows("SELECT count(*) FROM analytics_metrics_1day")
    assert marked == [(len(SERVICES) * 3,)]
    assert first.terminate() == 0
    way.start()
    waiting = "SELECT count(*) FROM analytics_metrics_1day WHERE NOT is_valid"
    wait_until(lambda: way.database.rows(waiting) == [(0,)], 90, "the worker has built the days")
    assert differences(way.database, [as_event(value) for value in values]) == []
    late = [event_value(rng, 5) for _ in range(200)]
    way.send_values(late)
    way.wait_settled()
    assert way.database.rows(waiting) == [(len(SERVICES),)]
    assert way.database.rows(STALE) == []
