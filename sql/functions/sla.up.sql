CREATE OR REPLACE FUNCTION public.analytics_calculate_sla(
    INOUT service text,
    IN since timestamptz,
    OUT from_time timestamptz,
    OUT total_requests bigint,
    OUT failed_requests bigint,
    OUT uptime_percent double precision,
    OUT latency_p99_ms double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        analytics_calculate_sla.service,
        (stacklens.range_bounds(since, now())).starts,
        counted.total,
        counted.failed,
        100 * (counted.total - counted.failed)::double precision / nullif(counted.total, 0)::double precision,
        (stacklens.latency_percentiles(counted.latency, '{0.99}', counted.lowest, counted.highest))[1]
    FROM (
        SELECT
            coalesce(sum(rows.total_requests), 0)::bigint AS total,
            coalesce(sum(rows.failed_requests), 0)::bigint AS failed,
            min(rows.latency_min_ms) AS lowest,
            max(rows.latency_max_ms) AS highest,
            stacklens.latency_merge(
                (rows.latency_buckets, rows.latency_bucket_counts)::stacklens.latency_histogram
            ) AS latency
        FROM stacklens.window_rows(since, now()) AS rows
        WHERE rows.service = analytics_calculate_sla.service
    ) AS counted
$$;

COMMENT ON FUNCTION public.analytics_calculate_sla(text, timestamptz) IS
'What a service promised and kept from a moment until now, always one row. from_time is that moment rounded down to its'
' window, from the finest tier that still covers it, or the beginning of what is kept. Uptime in percent is'
' 100 * (total - failed) / total; it and the p99 are NULL without traffic.';
