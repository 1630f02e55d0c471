-- The windows: one row per service and window start, merged in place. The three tables are alike.
CREATE TABLE public.analytics_metrics_1min (
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
    revision bigint NOT NULL DEFAULT 1,
    CONSTRAINT analytics_metrics_1min_histogram_check CHECK (
        cardinality(latency_buckets) = cardinality(latency_bucket_counts)
    )
) WITH (fillfactor = 50);

-- One chunk a UTC day: retention drops whole days. Rows are updated many times while their window is live and no
-- indexed column ever changes, so room is left in each page for updates that need not touch the indexes.
SELECT create_hypertable(
    'public.analytics_metrics_1min',
    'timestamp',
    chunk_time_interval => interval '1 day',
    create_default_indexes => FALSE
);

-- (service, timestamp) is the key and the order in which rows are locked; (timestamp, service) serves "newest first".
CREATE UNIQUE INDEX analytics_metrics_1min_service_timestamp_key
ON public.analytics_metrics_1min (service, timestamp);
CREATE INDEX analytics_metrics_1min_timestamp_idx
ON public.analytics_metrics_1min (timestamp DESC, service ASC);

COMMENT ON TABLE public.analytics_metrics_1min IS
'One-minute windows, one row per service and window start. Hypertable, warm tier: kept for RETENTION_WARM days.';
COMMENT ON COLUMN public.analytics_metrics_1min.timestamp IS 'Start of the window, inclusive, aligned to UTC.';
COMMENT ON COLUMN public.analytics_metrics_1min.service IS 'Service that the window is about.';
COMMENT ON COLUMN public.analytics_metrics_1min.total_requests IS 'Events in the window.';
COMMENT ON COLUMN public.analytics_metrics_1min.successful_requests IS 'Events below level error.';
COMMENT ON COLUMN public.analytics_metrics_1min.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.analytics_metrics_1min.error_rate IS 'Failed events in percent of all, 0 to 100.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_min_ms IS
'Least latency in milliseconds, exact; NULL when no event carries one.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_p50_ms IS
'Median latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_p95_ms IS
'95th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_p99_ms IS
'99th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_max_ms IS 'Greatest latency in milliseconds, exact.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_mean_ms IS 'Mean latency in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_1min.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1min.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1min.avg_risk_score IS
'Mean risk of the events that carry one; NULL when none does.';
COMMENT ON COLUMN public.analytics_metrics_1min.high_risk_count IS 'Events with risk above HIGH_RISK_THRESHOLD.';
COMMENT ON COLUMN public.analytics_metrics_1min.aggregated_at IS 'When the row was last written.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_count IS 'State: events that carry a latency.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_sum_ms IS 'State: sum of the latencies in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_buckets IS
'State: bucket numbers of the latency histogram, ascending; see stacklens.latency_histogram.';
COMMENT ON COLUMN public.analytics_metrics_1min.latency_bucket_counts IS
'State: how many latencies fell into the bucket at the same position.';
COMMENT ON COLUMN public.analytics_metrics_1min.risk_count IS 'State: events that carry a risk score.';
COMMENT ON COLUMN public.analytics_metrics_1min.risk_sum IS 'State: sum of the risk scores.';
COMMENT ON COLUMN public.analytics_metrics_1min.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1min.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1min.revision IS '1 when the row is made, one more with each merge.';

CREATE TABLE public.analytics_metrics_5min (
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
    revision bigint NOT NULL DEFAULT 1,
    CONSTRAINT analytics_metrics_5min_histogram_check CHECK (
        cardinality(latency_buckets) = cardinality(latency_bucket_counts)
    )
) WITH (fillfactor = 50);

SELECT create_hypertable(
    'public.analytics_metrics_5min',
    'timestamp',
    chunk_time_interval => interval '1 day',
    create_default_indexes => FALSE
);

CREATE UNIQUE INDEX analytics_metrics_5min_service_timestamp_key
ON public.analytics_metrics_5min (service, timestamp);
CREATE INDEX analytics_metrics_5min_timestamp_idx
ON public.analytics_metrics_5min (timestamp DESC, service ASC);

COMMENT ON TABLE public.analytics_metrics_5min IS
'Five-minute windows, one row per service and window start. Hypertable, cold tier: kept for RETENTION_COLD days.';
COMMENT ON COLUMN public.analytics_metrics_5min.timestamp IS 'Start of the window, inclusive, aligned to UTC.';
COMMENT ON COLUMN public.analytics_metrics_5min.service IS 'Service that the window is about.';
COMMENT ON COLUMN public.analytics_metrics_5min.total_requests IS 'Events in the window.';
COMMENT ON COLUMN public.analytics_metrics_5min.successful_requests IS 'Events below level error.';
COMMENT ON COLUMN public.analytics_metrics_5min.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.analytics_metrics_5min.error_rate IS 'Failed events in percent of all, 0 to 100.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_min_ms IS
'Least latency in milliseconds, exact; NULL when no event carries one.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_p50_ms IS
'Median latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_p95_ms IS
'95th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_p99_ms IS
'99th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_max_ms IS 'Greatest latency in milliseconds, exact.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_mean_ms IS 'Mean latency in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_5min.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_5min.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_5min.avg_risk_score IS
'Mean risk of the events that carry one; NULL when none does.';
COMMENT ON COLUMN public.analytics_metrics_5min.high_risk_count IS 'Events with risk above HIGH_RISK_THRESHOLD.';
COMMENT ON COLUMN public.analytics_metrics_5min.aggregated_at IS 'When the row was last written.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_count IS 'State: events that carry a latency.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_sum_ms IS 'State: sum of the latencies in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_buckets IS
'State: bucket numbers of the latency histogram, ascending; see stacklens.latency_histogram.';
COMMENT ON COLUMN public.analytics_metrics_5min.latency_bucket_counts IS
'State: how many latencies fell into the bucket at the same position.';
COMMENT ON COLUMN public.analytics_metrics_5min.risk_count IS 'State: events that carry a risk score.';
COMMENT ON COLUMN public.analytics_metrics_5min.risk_sum IS 'State: sum of the risk scores.';
COMMENT ON COLUMN public.analytics_metrics_5min.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_5min.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_5min.revision IS '1 when the row is made, one more with each merge.';

CREATE TABLE public.analytics_metrics_1hour (
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
    revision bigint NOT NULL DEFAULT 1,
    CONSTRAINT analytics_metrics_1hour_histogram_check CHECK (
        cardinality(latency_buckets) = cardinality(latency_bucket_counts)
    )
) WITH (fillfactor = 50);

SELECT create_hypertable(
    'public.analytics_metrics_1hour',
    'timestamp',
    chunk_time_interval => interval '1 day',
    create_default_indexes => FALSE
);

CREATE UNIQUE INDEX analytics_metrics_1hour_service_timestamp_key
ON public.analytics_metrics_1hour (service, timestamp);
CREATE INDEX analytics_metrics_1hour_timestamp_idx
ON public.analytics_metrics_1hour (timestamp DESC, service ASC);

COMMENT ON TABLE public.analytics_metrics_1hour IS
'One-hour windows, one row per service and window start. Hypertable, cold tier: kept for RETENTION_COLD days.';
COMMENT ON COLUMN public.analytics_metrics_1hour.timestamp IS 'Start of the window, inclusive, aligned to UTC.';
COMMENT ON COLUMN public.analytics_metrics_1hour.service IS 'Service that the window is about.';
COMMENT ON COLUMN public.analytics_metrics_1hour.total_requests IS 'Events in the window.';
COMMENT ON COLUMN public.analytics_metrics_1hour.successful_requests IS 'Events below level error.';
COMMENT ON COLUMN public.analytics_metrics_1hour.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.analytics_metrics_1hour.error_rate IS 'Failed events in percent of all, 0 to 100.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_min_ms IS
'Least latency in milliseconds, exact; NULL when no event carries one.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_p50_ms IS
'Median latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_p95_ms IS
'95th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_p99_ms IS
'99th percentile of the latency in milliseconds, within 1 % of nearest rank.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_max_ms IS 'Greatest latency in milliseconds, exact.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_mean_ms IS 'Mean latency in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_1hour.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1hour.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1hour.avg_risk_score IS
'Mean risk of the events that carry one; NULL when none does.';
COMMENT ON COLUMN public.analytics_metrics_1hour.high_risk_count IS 'Events with risk above HIGH_RISK_THRESHOLD.';
COMMENT ON COLUMN public.analytics_metrics_1hour.aggregated_at IS 'When the row was last written.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_count IS 'State: events that carry a latency.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_sum_ms IS 'State: sum of the latencies in milliseconds.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_buckets IS
'State: bucket numbers of the latency histogram, ascending; see stacklens.latency_histogram.';
COMMENT ON COLUMN public.analytics_metrics_1hour.latency_bucket_counts IS
'State: how many latencies fell into the bucket at the same position.';
COMMENT ON COLUMN public.analytics_metrics_1hour.risk_count IS 'State: events that carry a risk score.';
COMMENT ON COLUMN public.analytics_metrics_1hour.risk_sum IS 'State: sum of the risk scores.';
COMMENT ON COLUMN public.analytics_metrics_1hour.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.revision IS '1 when the row is made, one more with each merge.';
