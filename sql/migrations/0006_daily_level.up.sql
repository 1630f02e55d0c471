-- Days that are over, merged: long ranges read these instead of thousands of windows.
CREATE TABLE public.analytics_metrics_1day (
    timestamp timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    total_requests bigint NOT NULL DEFAULT 0,
    successful_requests bigint NOT NULL DEFAULT 0,
    failed_requests bigint NOT NULL DEFAULT 0,
    error_rate double precision NOT NULL DEFAULT 0,
    latency_min_ms double precision,
    latency_p50_ms double precision,
    latency_p95_ms double precision,
    latency_p99_ms double precision,
    latency_max_ms double precision,
    latency_mean_ms double precision,
    unique_users bigint NOT NULL DEFAULT 0,
    unique_ips bigint NOT NULL DEFAULT 0,
    avg_risk_score double precision,
    high_risk_count bigint NOT NULL DEFAULT 0,
    aggregated_at timestamptz NOT NULL DEFAULT now(),
    latency_count bigint NOT NULL DEFAULT 0,
    latency_sum_ms double precision NOT NULL DEFAULT 0,
    latency_buckets integer[] NOT NULL DEFAULT '{}',
    latency_bucket_counts bigint[] NOT NULL DEFAULT '{}',
    risk_count bigint NOT NULL DEFAULT 0,
    risk_sum double precision NOT NULL DEFAULT 0,
    users_sketch bytea,
    ips_sketch bytea,
    is_valid boolean NOT NULL DEFAULT false,
    invalidated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, timestamp),
    CONSTRAINT analytics_metrics_1day_histogram_check CHECK (
        cardinality(latency_buckets) = cardinality(latency_bucket_counts)
    )
) WITH (fillfactor = 50);

CREATE INDEX analytics_metrics_1day_timestamp_idx
ON public.analytics_metrics_1day (timestamp DESC, service ASC);

-- The days that wait to be merged.
CREATE INDEX analytics_metrics_1day_invalid_idx
ON public.analytics_metrics_1day (service, timestamp)
WHERE NOT is_valid;

COMMENT ON TABLE public.analytics_metrics_1day IS
'Whole days of a service, merged from its windows once the day is over; carries long ranges. A plain table, cold tier.'
' Only rows with is_valid count: a row without it marks a day whose windows have to be read instead.';
COMMENT ON COLUMN public.analytics_metrics_1day.timestamp IS 'Start of the day, UTC.';
COMMENT ON COLUMN public.analytics_metrics_1day.service IS 'Service that the day is about.';
COMMENT ON COLUMN public.analytics_metrics_1day.total_requests IS 'Events of the day.';
COMMENT ON COLUMN public.analytics_metrics_1day.successful_requests IS 'Events below level error.';
COMMENT ON COLUMN public.analytics_metrics_1day.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.analytics_metrics_1day.error_rate IS 'Failed events in percent of all, 0 to 100.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_min_ms IS
'Least latency in milliseconds, exact; NULL when no event carries one.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_p50_ms IS
'Median latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_p95_ms IS
'95th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_p99_ms IS
'99th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_max_ms IS 'Greatest latency in milliseconds, exact.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_mean_ms IS 'Mean latency in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_1day.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1day.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1day.avg_risk_score IS
'Mean risk of the events that carry one; NULL when none does.';
COMMENT ON COLUMN public.analytics_metrics_1day.high_risk_count IS 'Events with risk above HIGH_RISK_THRESHOLD.';
COMMENT ON COLUMN public.analytics_metrics_1day.aggregated_at IS 'When the row was last written.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_count IS 'State: events that carry a latency.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_sum_ms IS 'State: sum of the latencies in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_buckets IS
'State: bucket numbers of the latency histogram, ascending; see stacklens.latency_histogram.';
COMMENT ON COLUMN public.analytics_metrics_1day.latency_bucket_counts IS
'State: how many latencies fell into the bucket at the same position.';
COMMENT ON COLUMN public.analytics_metrics_1day.risk_count IS 'State: events that carry a risk score.';
COMMENT ON COLUMN public.analytics_metrics_1day.risk_sum IS 'State: sum of the risk scores.';
COMMENT ON COLUMN public.analytics_metrics_1day.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1day.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1day.is_valid IS
'Whether the row says what its windows say. A late write to one of them sets it to false in the same transaction.';
COMMENT ON COLUMN public.analytics_metrics_1day.invalidated_at IS
'When the day was found to be in need of merging; kept when it has been merged.';

CREATE TABLE public.daily_level (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    marked_before timestamptz NOT NULL DEFAULT '-infinity'
);

COMMENT ON TABLE public.daily_level IS
'How far the days of analytics_metrics_1day have been marked for merging. One row.';
COMMENT ON COLUMN public.daily_level.singleton IS 'Always true: there is one row.';
COMMENT ON COLUMN public.daily_level.marked_before IS
'Each day before it has a row in analytics_metrics_1day for each of its services, valid or not.';

INSERT INTO public.daily_level DEFAULT VALUES;
