-- Any range of time from the stored windows, each moment exactly once: whole days that are merged, hours where a day is
-- not, finer windows at the edges.
--
--   SELECT
--       service,
--       total_requests,
--       stacklens.latency_percentiles(latency, '{0.5,0.99}', latency_min_ms, latency_max_ms)
--   FROM stacklens.service_totals(now() - interval '90 minutes', now());
--
-- Both set-returning functions are single statements that the planner puts in place of their call, so that a condition
-- on the service reaches the indexes, and chunks outside the range are never opened.

CREATE OR REPLACE FUNCTION stacklens.start_of(length interval, moment timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT date_bin(length, moment, timestamptz '2000-01-01 00:00:00+00') $$;

COMMENT ON FUNCTION stacklens.start_of(interval, timestamptz) IS
'Start of the window of a length (at most a day, which it divides) that holds a moment; UTC. Infinity stays as it is.';


CREATE OR REPLACE FUNCTION stacklens.next_start(length interval, moment timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT stacklens.start_of(length, moment - interval '1 microsecond') + length $$;

COMMENT ON FUNCTION stacklens.next_start(interval, timestamptz) IS
'The first start of a window of a length at or after a moment.';


CREATE OR REPLACE FUNCTION stacklens.range_bounds(
    since timestamptz,
    until timestamptz,
    OUT starts timestamptz,
    OUT fives_start timestamptz,
    OUT hours_start timestamptz,
    OUT days_start timestamptz,
    OUT days_marked timestamptz,
    OUT days_end timestamptz,
    OUT hours_end timestamptz,
    OUT fives_end timestamptz,
    OUT ends timestamptz
)
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    has_minutes CONSTANT boolean := stacklens.keeps_window('1min');
    has_fives CONSTANT boolean := stacklens.keeps_window('5min');
    has_hours CONSTANT boolean := stacklens.keeps_window('1hour');
    warm CONSTANT timestamptz := (SELECT t.archived_before FROM public.retention_tiers AS t WHERE t.tier = 'warm');
    cold CONSTANT timestamptz := (SELECT t.archived_before FROM public.retention_tiers AS t WHERE t.tier = 'cold');
    last_moment CONSTANT timestamptz := until - interval '1 microsecond';
BEGIN
    -- The ends are rounded outwards to the finest windows that are still there.
    starts := (CASE
        WHEN has_minutes AND stacklens.start_of('1 minute', since) >= warm
            THEN stacklens.start_of('1 minute', since)
        WHEN has_fives AND stacklens.start_of('5 minutes', since) >= cold
            THEN stacklens.start_of('5 minutes', since)
        WHEN has_hours AND stacklens.start_of('1 hour', since) >= cold
            THEN stacklens.start_of('1 hour', since)
        ELSE least(CASE WHEN has_minutes THEN warm END, CASE WHEN has_fives OR has_hours THEN cold END)
    END);
    ends := greatest(starts, CASE
        WHEN has_minutes AND stacklens.start_of('1 minute', last_moment) >= warm
            THEN stacklens.start_of('1 minute', last_moment) + interval '1 minute'
        WHEN has_fives AND stacklens.start_of('5 minutes', last_moment) >= cold
            THEN stacklens.start_of('5 minutes', last_moment) + interval '5 minutes'
        WHEN has_hours AND stacklens.start_of('1 hour', last_moment) >= cold
            THEN stacklens.start_of('1 hour', last_moment) + interval '1 hour'
    END);

    -- Within them lie the whole longer windows. Those that are not kept have no place: bounds that nothing is between,
    -- or for the 5min windows those of the hours.
    IF has_hours THEN
        hours_start := greatest(stacklens.next_start('1 hour', starts), cold);
        hours_end := stacklens.start_of('1 hour', ends);
        days_start := greatest(stacklens.next_start('1 day', starts), cold);
        days_end := stacklens.start_of('1 day', ends);
    ELSE
        hours_start := 'infinity';
        hours_end := '-infinity';
        days_start := 'infinity';
        days_end := '-infinity';
    END IF;
    IF has_fives THEN
        fives_start := greatest(stacklens.next_start('5 minutes', starts), cold);
        fives_end := stacklens.start_of('5 minutes', ends);
    ELSE
        fives_start := hours_start;
        fives_end := hours_end;
    END IF;
    days_marked := greatest(days_start, least(days_end, (SELECT d.marked_before FROM public.daily_level AS d)));
END
$$;

COMMENT ON FUNCTION stacklens.range_bounds(timestamptz, timestamptz) IS
'Where the pieces of [since, until) begin and end. starts and ends: the range itself, rounded outwards to the finest'
' windows that are kept there, and not before what is archived; within it the whole 5min windows, hours and days.'
' Before days_marked every day is listed in analytics_metrics_1day, valid or not.';


CREATE OR REPLACE FUNCTION stacklens.window_rows(since timestamptz, until timestamptz)
RETURNS TABLE (
    service text,
    total_requests bigint,
    failed_requests bigint,
    latency_min_ms double precision,
    latency_max_ms double precision,
    latency_count bigint,
    latency_sum_ms double precision,
    latency_buckets integer[],
    latency_bucket_counts bigint[],
    risk_count bigint,
    risk_sum double precision,
    high_risk_count bigint
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH bounds AS (SELECT * FROM stacklens.range_bounds(since, until))

    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_1min AS m
    WHERE m.timestamp >= (SELECT b.starts FROM bounds AS b)
        AND m.timestamp < (SELECT least(b.fives_start, b.ends) FROM bounds AS b)
    UNION ALL
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_5min AS m
    WHERE m.timestamp >= (SELECT b.fives_start FROM bounds AS b)
        AND m.timestamp < (SELECT least(b.hours_start, b.fives_end) FROM bounds AS b)
    UNION ALL
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_1hour AS m
    WHERE m.timestamp >= (SELECT b.hours_start FROM bounds AS b)
        AND m.timestamp < (SELECT least(b.days_start, b.hours_end) FROM bounds AS b)
    UNION ALL
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_1day AS m
    WHERE m.is_valid
        AND m.timestamp >= (SELECT b.days_start FROM bounds AS b)
        AND m.timestamp < (SELECT b.days_end FROM bounds AS b)
    UNION ALL
    -- Days that are listed as not valid: their hours.
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_1day AS day
    INNER JOIN public.analytics_metrics_1hour AS m
        ON m.service = day.service
            AND m.timestamp >= day.timestamp
            AND m.timestamp < day.timestamp + interval '24 hours'
    WHERE NOT day.is_valid
        AND day.timestamp >= (SELECT b.days_start FROM bounds AS b)
        AND day.timestamp < (SELECT b.days_marked FROM bounds AS b)
        AND m.timestamp >= (SELECT b.days_start FROM bounds AS b)
        AND m.timestamp < (SELECT b.days_marked FROM bounds AS b)
    UNION ALL
    -- Days that may not be listed yet, and the hours after the last whole day.
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_1hour AS m
    WHERE m.timestamp >= (SELECT b.days_marked FROM bounds AS b)
        AND m.timestamp < (SELECT b.hours_end FROM bounds AS b)
        AND NOT EXISTS (
            SELECT FROM public.analytics_metrics_1day AS day
            WHERE day.is_valid
                AND day.service = m.service
                AND day.timestamp = stacklens.start_of('1 day', m.timestamp)
                AND day.timestamp >= (SELECT b.days_start FROM bounds AS b)
                AND day.timestamp < (SELECT b.days_end FROM bounds AS b)
        )
    UNION ALL
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_5min AS m
    WHERE m.timestamp >= (SELECT greatest(b.hours_end, b.hours_start) FROM bounds AS b)
        AND m.timestamp < (SELECT b.fives_end FROM bounds AS b)
    UNION ALL
    SELECT
        m.service, m.total_requests, m.failed_requests, m.latency_min_ms, m.latency_max_ms, m.latency_count,
        m.latency_sum_ms, m.latency_buckets, m.latency_bucket_counts, m.risk_count, m.risk_sum, m.high_risk_count
    FROM public.analytics_metrics_1min AS m
    WHERE m.timestamp >= (SELECT greatest(b.fives_end, b.fives_start) FROM bounds AS b)
        AND m.timestamp < (SELECT b.ends FROM bounds AS b)
$$;

COMMENT ON FUNCTION stacklens.window_rows(timestamptz, timestamptz) IS
'The stored rows that together make up [since, until), each moment once: days that are merged and valid, hours, and'
' 5min and 1min windows at the edges. Both ends are rounded outwards to the finest windows kept there.';


CREATE OR REPLACE FUNCTION stacklens.service_totals(since timestamptz, until timestamptz)
RETURNS TABLE (
    service text,
    total_requests bigint,
    failed_requests bigint,
    error_rate double precision,
    latency_min_ms double precision,
    latency_max_ms double precision,
    latency_mean_ms double precision,
    latency stacklens.latency_histogram,
    avg_risk_score double precision,
    high_risk_count bigint
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        rows.service,
        sum(rows.total_requests)::bigint,
        sum(rows.failed_requests)::bigint,
        100 * sum(rows.failed_requests)::double precision / nullif(sum(rows.total_requests), 0)::double precision,
        min(rows.latency_min_ms),
        max(rows.latency_max_ms),
        -- Sums near the largest number are scaled by 2^64 meanwhile: two of them would be out of range, their mean is not.
        coalesce(sum(rows.latency_sum_ms) FILTER (WHERE rows.latency_sum_ms <= 1e290), 0)
        / nullif(sum(rows.latency_count), 0)::double precision
        + coalesce(sum(rows.latency_sum_ms / 18446744073709551616) FILTER (WHERE rows.latency_sum_ms > 1e290), 0)
        / nullif(sum(rows.latency_count), 0)::double precision * 18446744073709551616,
        stacklens.latency_merge((rows.latency_buckets, rows.latency_bucket_counts)::stacklens.latency_histogram),
        sum(rows.risk_sum) / nullif(sum(rows.risk_count), 0)::double precision,
        sum(rows.high_risk_count)::bigint
    FROM stacklens.window_rows(since, until) AS rows
    GROUP BY rows.service
$$;

COMMENT ON FUNCTION stacklens.service_totals(timestamptz, timestamptz) IS
'One row for each service with traffic in [since, until), rounded outwards as in stacklens.window_rows(): exact counts'
' and extremes, error rate in percent, and the merged latency histogram for stacklens.latency_percentiles().';
