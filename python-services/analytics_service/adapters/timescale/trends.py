"""What changed at a service in the last ten minutes: its figures then and now, from merged 1min windows."""

from __future__ import annotations

from collections.abc import Collection

from psycopg2.extensions import cursor

from analytics_service.domain.notices import Figures, Trend

# Then: the five minutes that ended ten minutes ago. Now: the last minute that is over, and what there is of this one.
_TRENDS = """
    WITH moments AS (
        SELECT date_trunc('minute', moment, 'UTC') AS minute, moment
        FROM (SELECT to_timestamp(%(now_s)s) AS moment) AS given
    ), spans AS (
        SELECT 'before' AS name, minute - interval '15 minutes' AS since, minute - interval '10 minutes' AS until,
            300::double precision AS seconds FROM moments
        UNION ALL
        SELECT 'now', minute - interval '1 minute', minute + interval '1 minute',
            60 + extract(epoch FROM moment - minute)::double precision FROM moments
    ), merged AS (
        SELECT
            spans.name, rows.service, spans.seconds, sum(rows.total_requests)::double precision AS total,
            sum(rows.failed_requests)::double precision AS failed,
            stacklens.latency_merge((rows.latency_buckets, rows.latency_bucket_counts)::stacklens.latency_histogram)
                AS histogram,
            min(rows.latency_min_ms) AS lowest, max(rows.latency_max_ms) AS highest
        FROM spans
        INNER JOIN analytics_metrics_1min AS rows
            ON rows.timestamp >= spans.since AND rows.timestamp < spans.until
        WHERE rows.service = ANY(%(services)s::text[])
            AND rows.timestamp >= to_timestamp(%(now_s)s) - interval '17 minutes'
        GROUP BY spans.name, rows.service, spans.seconds
    )
    SELECT
        service, name, 100 * failed / nullif(total, 0),
        stacklens.latency_percentile((histogram).buckets, (histogram).counts, 0.99, lowest, highest),
        total / seconds
    FROM merged
"""
NOTHING = Figures()


def read_trends(cur: cursor, services: Collection[str], now_s: float) -> dict[str, Trend]:
    """The trend of each service that has any data in either span; `now_s` in epoch seconds."""
    cur.execute(_TRENDS, {"services": sorted(services), "now_s": now_s})
    figures: dict[str, dict[str, Figures]] = {}
    for service, name, error_rate, p99, rate in cur.fetchall():
        figures.setdefault(service, {})[name] = Figures(error_rate, p99, rate)
    return {
        service: Trend(found.get("before", NOTHING), found.get("now", NOTHING))
        for service, found in figures.items()
    }
