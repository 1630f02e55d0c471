-- The raw events: the hot tier.
CREATE TABLE public.analytics_events (
    timestamp timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    level text NOT NULL,
    latency_ms double precision,
    risk_score double precision,
    user_id text,
    request_id text,
    trace_id text,
    span_id text,
    message text,
    error_message text,
    source_ip inet,
    geo_country text,
    user_subscription_tier text,
    topic_incarnation integer NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    ingested_at timestamptz NOT NULL DEFAULT now()
);

-- Chunk intervals must divide a UTC day: retention is in whole days and drops whole chunks, so every boundary between
-- kept and dropped must fall between two chunks. Three hours of events: at 1,000 events/s about 2 GB, its index small
-- enough to stay in memory, and 8 chunks a day keep planning cheap.
SELECT create_hypertable(
    'public.analytics_events',
    'timestamp',
    chunk_time_interval => interval '3 hours',
    create_default_indexes => FALSE
);

-- The only index: every further one costs a third of the COPY rate, and exactly-once comes from the offsets, not from
-- a unique key.
CREATE INDEX analytics_events_timestamp_idx ON public.analytics_events (timestamp DESC);

COMMENT ON TABLE public.analytics_events IS
'Raw events as consumed, each exactly once. Hypertable, hot tier: kept for RETENTION_HOT days.';
COMMENT ON COLUMN public.analytics_events.timestamp IS 'When the event happened, by its own account.';
COMMENT ON COLUMN public.analytics_events.service IS 'Service that the event is about, 1 to 255 characters.';
COMMENT ON COLUMN public.analytics_events.level IS 'Canonical level: debug, info, warning, error or critical.';
COMMENT ON COLUMN public.analytics_events.latency_ms IS 'Latency in milliseconds; NULL when the event carries none.';
COMMENT ON COLUMN public.analytics_events.risk_score IS 'Business risk from 0 to 1; NULL when the event carries none.';
COMMENT ON COLUMN public.analytics_events.user_id IS 'User; a number is kept as its JSON text.';
COMMENT ON COLUMN public.analytics_events.request_id IS 'Request that the event belongs to.';
COMMENT ON COLUMN public.analytics_events.trace_id IS 'Distributed trace that the event belongs to.';
COMMENT ON COLUMN public.analytics_events.span_id IS 'Span within the trace.';
COMMENT ON COLUMN public.analytics_events.message IS 'Text of the log entry.';
COMMENT ON COLUMN public.analytics_events.error_message IS 'Text of the error.';
COMMENT ON COLUMN public.analytics_events.source_ip IS 'Address the request came from, in canonical form.';
COMMENT ON COLUMN public.analytics_events.geo_country IS 'Country of the source, name or code as delivered.';
COMMENT ON COLUMN public.analytics_events.user_subscription_tier IS 'Subscription tier of the user.';
COMMENT ON COLUMN public.analytics_events.topic_incarnation IS
'Which incarnation of the input topic the event came from; see topic_incarnations.';
COMMENT ON COLUMN public.analytics_events.kafka_partition IS 'Partition the event came from.';
COMMENT ON COLUMN public.analytics_events.kafka_offset IS 'Offset of the event in its partition.';
COMMENT ON COLUMN public.analytics_events.ingested_at IS 'Start of the transaction that stored the event.';
