"""What the schema is: tables, hypertables, keys and explanations, as other tools rely on them."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg2
import pytest
from psycopg2 import sql

from analytics_service.entrypoints.cli import verify_stores
from dashboard_api.queries.high_risk import INDEXED_ABOVE
from tests.databases import Database
from tests.schema_inspection import hypertables, public_functions, tables, without_comment

pytestmark = pytest.mark.both_postgres

METRICS = ("analytics_metrics_1min", "analytics_metrics_5min", "analytics_metrics_1hour")
HYPERTABLES = {"analytics_events", *METRICS}
TABLES = HYPERTABLES | {
    "alert_channels",
    "alert_deliveries",
    "alert_outbox",
    "alert_silences",
    "alert_states",
    "analytics_alert_history",
    "analytics_alert_rules",
    "analytics_alerts",
    "analytics_dead_letters",
    "analytics_metrics_1day",
    "api_replicas",
    "audit_trail",
    "backups_made",
    "daily_level",
    "dead_letter_replays",
    "failing_batches",
    "kafka_offsets",
    "leases",
    "notified_episodes",
    "recalculation_queue",
    "retention_tiers",
    "schema_migrations",
    "schema_scripts",
    "system_config",
    "topic_incarnations",
}
INSERT_EVENT = """
INSERT INTO analytics_events
    (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset)
VALUES (%s, 'a', 'info', 1, 0, 0)
"""
COLUMNS = """
SELECT column_name, data_type, collation_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position
"""
LAST_MOMENT_OF_A_DAY = datetime(2026, 3, 29, 23, 59, 59, 999_999, UTC)


def insert_window(database: Database, table: str, at: datetime, service: str) -> None:
    """A row with nothing but its key."""
    statement = sql.SQL("INSERT INTO {} (timestamp, service) VALUES (%s, %s)")
    database.execute(statement.format(sql.Identifier(table)), at, service)


def test_exactly_the_documented_tables(database: Database) -> None:
    """Whoever adds a table adds it here, and to what `verify` looks for."""
    assert tables(database) == TABLES
    assert {*verify_stores.TABLES, *verify_stores.HYPERTABLES} == TABLES


def test_exactly_four_hypertables_whose_chunks_divide_a_utc_day(database: Database) -> None:
    """Retention is in whole days and drops whole chunks: a day's end is always a chunk's end."""
    found = hypertables(database)
    assert {table for table, _, _ in found} == HYPERTABLES
    assert len(found) == 4
    assert all(column == "timestamp" and 86_400 % seconds == 0 for _, column, seconds in found)

    for table in METRICS:
        insert_window(database, table, LAST_MOMENT_OF_A_DAY, "a")
    database.execute(INSERT_EVENT, LAST_MOMENT_OF_A_DAY)
    ends = database.rows("SELECT range_end FROM timescaledb_information.chunks")
    assert ends == [(datetime(2026, 3, 30, tzinfo=UTC),)] * 4


def test_every_table_column_and_function_is_explained(database: Database) -> None:
    """Who looks into the database finds it explained there."""
    assert without_comment(database) == []


def test_schema_public_holds_no_helpers(database: Database) -> None:
    """Functions in public are the three documented ones; helpers are in `stacklens`."""
    documented = {"analytics_calculate_sla", "analytics_get_alert_stats"}
    assert public_functions(database) == documented | {"analytics_archive_old_data"}


def test_the_queries_that_operators_count_with(database: Database) -> None:
    """Four hypertables, six views, three functions, as the deployment checklist looks for them."""
    counts = {
        "SELECT count(*) FROM timescaledb_information.hypertables": 4,
        "SELECT count(*) FROM pg_views WHERE schemaname = 'public' AND viewname LIKE 'v\\_%%'": 6,
        "SELECT count(*) FROM pg_proc WHERE proname LIKE 'analytics\\_%%'": 3,
    }
    assert [database.rows(query) for query in counts] == [[(n,)] for n in counts.values()]


def test_columns_of_the_events(database: Database) -> None:
    """Names, types and order as outside tools read them."""
    text = [(name, "text", None) for name in ("user_id", "request_id", "trace_id", "span_id")]
    assert database.rows(COLUMNS, "analytics_events") == [
        ("timestamp", "timestamp with time zone", None),
        ("service", "text", "C"),
        ("level", "text", None),
        ("latency_ms", "double precision", None),
        ("risk_score", "double precision", None),
        *text,
        ("message", "text", None),
        ("error_message", "text", None),
        ("source_ip", "inet", None),
        ("geo_country", "text", None),
        ("user_subscription_tier", "text", None),
        ("topic_incarnation", "integer", None),
        ("kafka_partition", "integer", None),
        ("kafka_offset", "bigint", None),
        ("ingested_at", "timestamp with time zone", None),
    ]


def test_columns_of_the_windows(database: Database) -> None:
    """The three tables are alike; counts are bigint, figures double precision."""
    one, five, hour = (database.rows(COLUMNS, table) for table in METRICS)
    assert one == five == hour
    assert ("service", "text", "C") in one
    types = {name: kind for name, kind, _ in one}
    documented = [
        *("timestamp", "service", "total_requests", "successful_requests", "failed_requests"),
        *("error_rate", "latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms"),
        *("latency_max_ms", "latency_mean_ms", "unique_users", "unique_ips", "avg_risk_score"),
        *("high_risk_count", "aggregated_at"),
    ]
    assert list(types)[: len(documented)] == documented
    counts = ("requests", "unique_users", "unique_ips", "_count", "revision")
    figures = ("_ms", "error_rate", "avg_risk_score", "_sum")
    assert {types[name] for name in types if name.endswith(counts)} == {"bigint"}
    assert {types[name] for name in types if name.endswith(figures)} == {"double precision"}


@pytest.mark.parametrize("table", METRICS)
def test_one_row_a_service_and_window_ordered_bytewise(database: Database, table: str) -> None:
    """The key is (service, timestamp), in the order that writers lock rows in."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for service in ("a", "Z", "é", "B"):
        insert_window(database, table, at, service)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        insert_window(database, table, at, "a")
    query = sql.SQL("SELECT service FROM {} ORDER BY service").format(sql.Identifier(table))
    with database.cursor() as cursor:
        cursor.execute(query)
        assert [row[0] for row in cursor.fetchall()] == ["B", "Z", "a", "é"]


@pytest.mark.parametrize("table", METRICS)
def test_a_histogram_has_as_many_counts_as_buckets(database: Database, table: str) -> None:
    """A writer's mistake is refused before it is stored."""
    statement = sql.SQL(
        "INSERT INTO {} (timestamp, service, latency_buckets, latency_bucket_counts)"
        " VALUES ('2026-01-01Z', 'a', %s::int[], %s::bigint[])"
    ).format(sql.Identifier(table))
    with pytest.raises(psycopg2.errors.CheckViolation):
        database.execute(statement, [1, 2], [1])
    database.execute(statement, [1, 2], [1, 1])


def test_only_the_time_index_holds_every_raw_event(database: Database) -> None:
    """Each further whole index would cost a good part of the rate at which events are stored."""
    query = (
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'analytics_events' ORDER BY indexname"
    )
    rare, whole = (definition for (definition,) in database.rows(query))
    assert whole.endswith('USING btree ("timestamp" DESC)')
    # What the API takes for granted when it asks without a detour over the windows.
    assert rare.endswith(f"WHERE (risk_score > ({INDEXED_ABOVE})::double precision)")


def test_a_dead_letter_begins_as_pending_even_where_an_offset_was_given_twice(
    database: Database,
) -> None:
    """A broker that lost its tail gives the same offset to another message: both are kept."""
    statement = (
        "INSERT INTO analytics_dead_letters"
        " (topic, topic_incarnation, kafka_partition, kafka_offset, reason)"
        " VALUES ('t', 1, 0, 5, 'invalid_json')"
    )
    database.execute(statement)
    database.execute(statement)
    rows = database.rows("SELECT status, retry_count, topic_copy FROM analytics_dead_letters")
    assert rows == [("pending", 0, "pending")] * 2


@pytest.mark.parametrize("column", ["status", "topic_copy"])
def test_states_outside_the_documented_ones_are_refused(database: Database, column: str) -> None:
    """A typing error in a script does not become a state nobody handles."""
    statement = sql.SQL(
        "INSERT INTO analytics_dead_letters"
        " (topic, topic_incarnation, kafka_partition, kafka_offset, reason, {})"
        " VALUES ('t', 1, 0, 5, 'x', 'unheard-of')"
    ).format(sql.Identifier(column))
    with pytest.raises(psycopg2.errors.CheckViolation):
        database.execute(statement)


def test_the_three_tiers_begin_with_nothing_archived(database: Database) -> None:
    """Seeded by the migration, so that a flush can rely on them."""
    rows = database.rows(
        "SELECT tier, archived_before = '-infinity' FROM retention_tiers ORDER BY tier"
    )
    assert rows == [("cold", True), ("hot", True), ("warm", True)]
