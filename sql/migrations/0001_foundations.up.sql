-- The extension, the helper schema and the types that re-runnable functions stand on.
-- The extension may have been created beforehand by an administrator; then the first statement does nothing.
CREATE EXTENSION IF NOT EXISTS timescaledb;

CREATE SCHEMA stacklens;

COMMENT ON SCHEMA stacklens IS
'Helpers of StackLens Analytics. Schema public holds only what outside tools read.';

CREATE TYPE stacklens.latency_histogram AS (
    buckets integer [],
    counts bigint []
);

COMMENT ON TYPE stacklens.latency_histogram IS
'A latency histogram: bucket numbers in ascending order, and how many latencies fell into each.';
COMMENT ON COLUMN stacklens.latency_histogram.buckets IS
'Bucket i covers (gamma^(i-1), gamma^i] milliseconds; see stacklens.latency_gamma(). -1000000 is exactly 0 ms.';
COMMENT ON COLUMN stacklens.latency_histogram.counts IS
'How many latencies fell into the bucket at the same position.';
