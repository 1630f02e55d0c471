"""What `verify` looks for in Kafka and in the database: topics, migrations, tables, roles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

import psycopg2
from psycopg2 import sql

from analytics_service.adapters.kafka.topics import (
    TopicSpec,
    TopicState,
    differences,
    list_topics,
)
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.config import Settings
from analytics_service.entrypoints.cli.checking import Check, CheckFailed, CheckWarned

HYPERTABLES = (
    "analytics_events",
    "analytics_metrics_1hour",
    "analytics_metrics_1min",
    "analytics_metrics_5min",
)
TABLES = (
    *("alert_channels", "alert_deliveries", "alert_outbox", "alert_silences", "alert_states"),
    *("notified_episodes", "api_replicas", "audit_trail", "backups_made", "dead_letter_replays"),
    *("analytics_alert_history", "analytics_alert_rules", "analytics_alerts"),
    *("analytics_dead_letters", "analytics_metrics_1day", "daily_level", "failing_batches"),
    *("kafka_offsets", "leases", "recalculation_queue", "retention_tiers", "schema_migrations"),
    *("schema_scripts", "system_config", "topic_incarnations"),
)
VIEWS = (
    *("v_active_alerts_summary", "v_high_risk_events", "v_service_health_current"),
    *("v_service_performance_trend", "v_slowest_services", "v_top_error_services"),
)
FUNCTIONS = ("analytics_archive_old_data", "analytics_calculate_sla", "analytics_get_alert_stats")
READABLE = (*HYPERTABLES, "analytics_dead_letters", "kafka_offsets", "system_config", *VIEWS)
CONNECT_TIMEOUT_S = 10


def topic_checks(settings: Settings) -> Iterator[Check]:
    """One check a topic; the broker is asked once."""
    found: dict[str, tuple[TopicSpec, TopicState | None]] = {}

    def look(name: str) -> str:
        if not found:
            found.update({spec.name: (spec, state) for spec, state in list_topics(settings)})
        spec, state = found[name]
        if state is None:
            raise CheckFailed("missing: run `stacklens topics create`")
        wrong = differences(spec, state)
        if wrong:
            raise CheckWarned("; ".join(wrong))
        return f"{state.partitions} partitions"

    for name in (settings.kafka_input_topic, settings.kafka_output_topic, settings.kafka_dlq_topic):
        yield f"topic {name}", partial(look, name)


def database_checks(settings: Settings) -> Iterator[Check]:
    """Migrations, hypertables, tables, views, functions, and that the API's role can read them."""
    yield "migrations", partial(_migrations, settings)
    yield "hypertables", partial(_hypertables, settings)
    yield "tables", partial(_tables, settings)
    yield "views", partial(_views, settings)
    yield "functions", partial(_functions, settings)
    yield f"role {settings.db_reader_user}", partial(_reader, settings)


def _migrations(settings: Settings) -> str:
    _query(settings, "SELECT 1")  # the migrator waits long for a database that is not there
    status = Migrator(settings).status()
    if status.drift:
        drifted = ", ".join(f"{drift.version} ({drift.kind})" for drift in status.drift)
        raise CheckFailed(f"drift: {drifted}")
    pending = (*status.pending, *status.pending_scripts)
    if pending:
        raise CheckFailed(f"pending: {', '.join(pending)}; run `stacklens migrate up`")
    return f"{len(status.applied)} applied"


def _hypertables(settings: Settings) -> str:
    rows = _query(
        settings, "SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1"
    )
    names = tuple(str(name) for (name,) in rows)
    if names != HYPERTABLES:
        raise CheckFailed(f"{', '.join(names) or 'none'}; expected {', '.join(HYPERTABLES)}")
    return str(len(names))


def _tables(settings: Settings) -> str:
    rows = _query(settings, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return _all_there(TABLES, rows)


def _views(settings: Settings) -> str:
    rows = _query(settings, "SELECT viewname FROM pg_views WHERE schemaname = 'public'")
    return _all_there(VIEWS, rows)


def _functions(settings: Settings) -> str:
    rows = _query(
        settings, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    return _all_there(FUNCTIONS, rows)


def _all_there(wanted: Sequence[str], found: Sequence[tuple[object, ...]]) -> str:
    missing = [name for name in wanted if (name,) not in found]
    if missing:
        raise CheckFailed(f"missing: {', '.join(missing)}")
    return f"{len(wanted)} of {len(wanted)}"


def _reader(settings: Settings) -> str:
    for table in READABLE:
        query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table))
        _query(settings, query, user=settings.db_reader_user, password=settings.reader_password)
    return f"reads {len(READABLE)} tables and views"


def _query(
    settings: Settings,
    query: str | sql.Composed,
    user: str | None = None,
    password: str | None = None,
) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=user or settings.db_user,
        password=settings.db_password if password is None else password,
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name="stacklens-verify",
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
