DROP AGGREGATE IF EXISTS stacklens.latency_merge(stacklens.latency_histogram);
DROP FUNCTION IF EXISTS stacklens.latency_merge_result(stacklens.latency_histogram[]);
DROP FUNCTION IF EXISTS stacklens.latency_percentiles(
    stacklens.latency_histogram, double precision[], double precision, double precision
);
DROP FUNCTION IF EXISTS stacklens.latency_percentile(
    integer[], bigint[], double precision, double precision, double precision
);
DROP FUNCTION IF EXISTS stacklens.latency_bucket_value(integer);
DROP FUNCTION IF EXISTS stacklens.latency_gamma();
