"""Archiving: what goes, what stays, what is said, and who or what may be in the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from analytics_service.entrypoints.cli.main import run
from tests.databases import Database
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

pytestmark = [pytest.mark.both_postgres, pytest.mark.usefixtures("same_day")]

ARCHIVE = "SELECT analytics_archive_old_data()"
MICROSECOND = timedelta(microseconds=1)
DAYS = {"hot": 1, "warm": 7, "cold": 30}
TABLES = {
    "analytics_events": "hot",
    "analytics_metrics_1min": "warm",
    "analytics_metrics_5min": "cold",
    "analytics_metrics_1hour": "cold",
    "analytics_metrics_1day": "cold",
}
NOTHING_LEFT = "nothing to drop"


def today() -> datetime:
    """The start of the running UTC day."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def put(database: Database, table: str, at: datetime, service: str = "s") -> None:
    """A row of a tier with nothing but what it needs."""
    values = {"timestamp": at, "service": service}
    if table == "analytics_events":
        values |= dict.fromkeys(("topic_incarnation", "kafka_partition", "kafka_offset"), 0)
        values["level"] = "info"
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Literal, values.values())),
    )
    database.execute(statement)


def held(database: Database, table: str) -> set[datetime]:
    """The timestamps that a table holds."""
    query = sql.SQL("SELECT timestamp FROM {}").format(sql.Identifier(table))
    with database.cursor() as cursor:
        cursor.execute(query)
        return {row[0] for row in cursor.fetchall()}


def archive(database: Database) -> list[str]:
    """Archive; the lines it answers."""
    return [row[0] for row in database.rows(ARCHIVE)]


def archived_before(database: Database) -> dict[str, datetime]:
    """The limit of each tier."""
    return dict(database.rows("SELECT tier, archived_before FROM retention_tiers"))


@contextmanager
def transaction(database: Database, statement: str) -> Iterator[None]:
    """A transaction that has run a statement and stays open meanwhile."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute(statement)
        yield
        connection.rollback()


def test_each_tier_is_cut_at_the_start_of_a_day(database: Database) -> None:
    """The last moment before the limit goes, the limit itself stays; then there is nothing left to do."""
    day = today()
    limits = {tier: day - timedelta(days=days) for tier, days in DAYS.items()}
    for table, tier in TABLES.items():
        put(database, table, limits[tier])
        put(database, table, limits[tier] - (MICROSECOND if "1day" not in table else timedelta(1)))
        put(database, table, limits[tier] - timedelta(days=3))
    lines = archive(database)
    assert [line.split(",")[0] for line in lines[:3]] == ["hot tier", "warm tier", "cold tier"]
    assert lines[0] == (
        f"hot tier, all before {limits['hot']:%Y-%m-%d} 00:00 UTC: 2 chunks of analytics_events dropped"
    )
    assert "2 chunks of analytics_metrics_5min" in lines[2]
    assert "2 rows of analytics_metrics_1day" in lines[2]
    assert lines[3] == "compression: off"
    for table, tier in TABLES.items():
        assert held(database, table) == {limits[tier]}, table
    assert archived_before(database) == limits
    assert [line.endswith(NOTHING_LEFT) for line in archive(database)] == [True] * 3 + [False]


def test_a_limit_never_goes_back(database: Database) -> None:
    """Keeping longer from now on brings nothing back, so that what is below the limit stays unwritten."""
    archive(database)
    before = archived_before(database)
    database.execute("INSERT INTO system_config VALUES ('retention_warm', '60')")
    put(database, "analytics_metrics_1min", before["warm"])
    assert archive(database)[1].endswith(NOTHING_LEFT)
    assert archived_before(database) == before
    assert held(database, "analytics_metrics_1min") == {before["warm"]}
    database.execute("UPDATE system_config SET value = '2' WHERE key = 'retention_warm'")
    archive(database)
    assert archived_before(database)["warm"] == today() - timedelta(days=2)


@pytest.mark.parametrize("value", ["a week", "0", "36501", "-1", "1.5", "", "99999999999"])
def test_a_useless_setting_is_named(database: Database, value: str) -> None:
    """Rather nothing dropped than the wrong thing."""
    put(database, "analytics_events", today() - timedelta(days=9))
    database.execute("INSERT INTO system_config VALUES ('retention_cold', %s)", value)
    with pytest.raises(psycopg2.errors.InvalidParameterValue, match="retention_cold"):
        archive(database)
    assert len(held(database, "analytics_events")) == 1


def test_a_chunk_across_the_limit_loses_only_what_is_before_it(database: Database) -> None:
    """Somebody may have set another chunk interval."""
    database.execute("SELECT set_chunk_time_interval('analytics_metrics_1min', interval '50 days')")
    limit = today() - timedelta(days=7)
    for at in (limit - MICROSECOND, limit, limit + MICROSECOND):
        put(database, "analytics_metrics_1min", at)
    archive(database)
    assert held(database, "analytics_metrics_1min") == {limit, limit + MICROSECOND}


def test_settled_records_go_and_open_ones_stay(database: Database) -> None:
    """With the cold tier: alerts with their history, dead letters, recalculations."""
    old, young = (today() - timedelta(days=days) for days in (31, 29))
    alert = """
        WITH made AS (
            INSERT INTO analytics_alerts (rule_name, service, severity, metric_name, window_size,
                threshold, fingerprint, status, active_since, resolved_at)
            VALUES (%s, 's', 'info', 'error_rate', '1min', 1, 'f', %s, %s, %s) RETURNING id, episode_id
        )
        INSERT INTO analytics_alert_history (alert_id, episode_id, sequence, from_status, to_status, at)
        SELECT id, episode_id, 1, 'inactive', 'pending', %s FROM made
    """
    database.execute(alert, "gone", "resolved", old, old, old)
    database.execute(alert, "young", "resolved", old, young, old)
    database.execute(alert, "open", "active", old, None, old)
    letter = """
        INSERT INTO analytics_dead_letters
            (topic, topic_incarnation, kafka_partition, kafka_offset, reason, status, topic_copy, created_at)
        VALUES ('t', 1, 0, %s, 'empty', %s, %s, %s)
    """
    for offset, (status, copy, at) in enumerate(
        [
            ("replayed", "sent", old),
            ("discarded", "refused", old),
            ("replayed", "pending", old),
            ("pending", "sent", old),
            ("replayed", "sent", young),
        ]
    ):
        database.execute(letter, offset, status, copy, at)
    job = "INSERT INTO recalculation_queue (job_type, status, finished_at) VALUES ('REFRESH_VIEWS', %s, %s)"
    for status, finished_at in (
        ("COMPLETED", old),
        ("COMPLETED", young),
        ("FAILED", old),
        ("PENDING", None),
    ):
        database.execute(job, status, finished_at)

    line = archive(database)[2]
    for part in (
        "1 row of analytics_alerts",
        "1 row of analytics_alert_history",
        "2 rows of analytics_dead_letters",
        "1 row of recalculation_queue",
    ):
        assert part in line
    names = "SELECT rule_name FROM analytics_alerts ORDER BY 1"
    assert database.rows(names) == [("open",), ("young",)]
    assert database.rows("SELECT count(*) FROM analytics_alert_history") == [(2,)]
    offsets = "SELECT kafka_offset::int FROM analytics_dead_letters ORDER BY 1"
    assert database.rows(offsets) == [(2,), (3,), (4,)]
    assert database.rows("SELECT count(*) FROM recalculation_queue") == [(3,)]


def test_compression_needs_its_licence(database: Database) -> None:
    """Under Apache's it is skipped and said so; nothing fails."""
    database.execute("INSERT INTO system_config VALUES ('enable_compression', 'true')")
    put(database, "analytics_metrics_1hour", today() - timedelta(days=20))
    if database.rows("SELECT current_setting('timescaledb.license', true)") == [("timescale",)]:
        pytest.skip("this server has the community features")
    last = archive(database)[-1]
    assert last == "compression: skipped, the licence is apache and compression needs timescale"


def in_threads(count: int, work: Callable[[], list[str]]) -> list[list[str]]:
    """Results of the same work begun at the same moment."""
    together = threading.Barrier(count)

    def begin() -> list[str]:
        together.wait(30)
        return work()

    with ThreadPoolExecutor(count) as pool:
        return [future.result(120) for future in [pool.submit(begin) for _ in range(count)]]


def test_several_at_once_drop_each_chunk_once(database: Database) -> None:
    """Whoever comes second finds nothing left."""
    for days in range(9, 29):
        put(database, "analytics_metrics_1min", today() - timedelta(days=days))
    answers = in_threads(3, lambda: archive(database))
    said = sorted(lines[1].split(": ")[1] for lines in answers)
    assert said == ["20 chunks of analytics_metrics_1min dropped", NOTHING_LEFT, NOTHING_LEFT]


@pytest.mark.parametrize(
    "in_the_way",
    [
        "SELECT count(*) FROM analytics_metrics_1min",
        "LOCK TABLE retention_tiers IN ROW SHARE MODE",
    ],
    ids=["a reader of an old chunk", "a flush"],
)
def test_it_waits_for_who_is_in_the_way(database: Database, in_the_way: str) -> None:
    """While it waits for a chunk it lets flushes through, then it goes on."""
    old = today() - timedelta(days=9)
    put(database, "analytics_metrics_1min", old)
    with ThreadPoolExecutor(1) as pool:
        with transaction(database, in_the_way):
            waiting: Future[list[str]] = pool.submit(archive, database)
            wait_until(lambda: waiting_for_a_lock(database), 30, "archiving is held up")
            assert not waiting.done()
            with transaction(database, "LOCK TABLE retention_tiers IN ROW SHARE MODE"):
                assert held(database, "analytics_metrics_1min") == {old}
        assert "1 chunk of analytics_metrics_1min dropped" in waiting.result(60)[1]
    assert held(database, "analytics_metrics_1min") == set()


def waiting_for_a_lock(database: Database) -> bool:
    """Whether the archiving session of this database waits for a lock, or pauses between two attempts."""
    return bool(
        database.rows(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query = %s"
            " AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')",
            ARCHIVE,
        )
    )


def test_the_command_prints_and_reports(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same lines as in psql; counts for programs."""
    for name, value in {**database.env, "APP_ENV": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    put(database, "analytics_events", today() - timedelta(days=2))
    assert run(["archive", "--output-json", "archived.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 1 chunk of analytics_events dropped")
    assert len(lines) == 4
    report = json.loads((tmp_path / "archived.json").read_text())
    assert [tier["tier"] for tier in report["tiers"]] == ["hot", "warm", "cold"]
    assert report["tiers"][0]["dropped"] == [
        {"relation": "analytics_events", "unit": "chunks", "count": 1}
    ]
    assert datetime.fromisoformat(report["tiers"][0]["archived_before"]) == today() - timedelta(1)
    database.execute("INSERT INTO system_config VALUES ('retention_hot', 'long')")
    assert run(["archive"]) == 1
    assert "retention_hot: 'long' is not a whole number of days" in capsys.readouterr().err


@pytest.mark.slow
def test_archiving_under_load_leaves_whole_windows_only(way: WholeWay) -> None:
    """A worker stores events of seven days while the tiers are cut; late ones never bring a part of a window back."""
    day = today()
    seconds = range(0, 7 * 86_400, 997)
    early, late, later = (
        [event(day + timedelta(seconds=now_s - at + shift)) for at in seconds]
        for now_s, shift in ((0, 0), (0, -1), (0, -2))
    )
    kept = {"RETENTION_HOT": "1", "RETENTION_WARM": "2", "RETENTION_COLD": "4"}
    worker = way.start(**kept, MAX_EVENT_AGE_DAYS="10")
    way.send_values(early)
    way.wait_settled()
    stop = threading.Event()

    def again_and_again() -> int:
        rounds = 0
        while not stop.is_set():
            archive(way.database)
            rounds += 1
        return rounds

    with ThreadPoolExecutor(1) as pool:
        archiving = pool.submit(again_and_again)
        try:
            way.send_values(late)
            way.wait_settled()
        finally:
            stop.set()
        assert archiving.result(60) >= 1
    way.send_values(later)
    way.wait_settled()

    limits = archived_before(way.database)
    assert limits == {
        tier: day - timedelta(days=int(kept[f"RETENTION_{tier.upper()}"])) for tier in DAYS
    }
    expected = way.expected()
    for table, tier in list(TABLES.items())[1:4]:
        first = limits[tier].timestamp()
        window = table.removeprefix("analytics_metrics_")
        wanted = {
            key: cell.total for key, cell in expected.windows[window].items() if key[1] >= first
        }
        query = sql.SQL(
            "SELECT service, extract(epoch FROM timestamp)::bigint, total_requests FROM {}"
        )
        with way.database.cursor() as cursor:
            cursor.execute(query.format(sql.Identifier(table)))
            found = {(row[0], row[1]): row[2] for row in cursor.fetchall()}
        assert found == wanted, table
    stored = way.database.rows("SELECT count(*), min(timestamp) FROM analytics_events")
    in_hot = [
        e for e in expected.events.values() if e.timestamp_us >= limits["hot"].timestamp() * 1e6
    ]
    assert stored[0][0] == len(in_hot)
    assert stored[0][1] >= limits["hot"]
    assert worker.metric("stacklens_events_below_tier_total") > 0
    worker.expect(len(way.sent), "stacklens_events_stored_total")


def event(at: datetime) -> bytes:
    """The JSON of an event."""
    return json.dumps({"timestamp": at.isoformat(), "service": "s", "level": "info"}).encode()


def test_notes_of_backups_go_with_the_cold_tier_but_never_the_newest(database: Database) -> None:
    for name, age in {"a": 500, "b": 400, "c": 300}.items():
        at = today() - timedelta(days=age)
        database.execute("INSERT INTO backups_made VALUES (%s, %s, 1)", name, at)
    assert "2 rows of backups_made dropped" in archive(database)[2]
    names = "SELECT file_name FROM backups_made ORDER BY 1"
    assert database.rows(names) == [("c",)]
    for name, age in {"d": DAYS["cold"] - 1, "e": 0}.items():
        at = today() - timedelta(days=age)
        database.execute("INSERT INTO backups_made VALUES (%s, %s, 1)", name, at)
    assert "1 row of backups_made dropped" in archive(database)[2]
    assert database.rows(names) == [("d",), ("e",)]
