-- Percentiles over any set of rows, from their stored latency histograms. Averaging percentiles would be wrong.
--
--   SELECT
--       service,
--       stacklens.latency_percentile((merged).buckets, (merged).counts, 0.95, lowest, highest)
--   FROM (
--       SELECT
--           service,
--           stacklens.latency_merge((latency_buckets, latency_bucket_counts)::stacklens.latency_histogram) AS merged,
--           min(latency_min_ms) AS lowest,
--           max(latency_max_ms) AS highest
--       FROM analytics_metrics_1hour
--       GROUP BY service
--   ) AS services;

CREATE OR REPLACE FUNCTION stacklens.latency_gamma()
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (1 + 0.009::double precision) / (1 - 0.009::double precision) $$;

COMMENT ON FUNCTION stacklens.latency_gamma() IS
'Ratio of one latency bucket''s bound to the next: (1 + a) / (1 - a) for a relative error of at most a = 0.009.';


CREATE OR REPLACE FUNCTION stacklens.latency_bucket_value(bucket integer)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
AS $$
    -- By way of the logarithm, and kept within what a double can hold: the outermost of the buckets (about -41,400 for
    -- the smallest double, 39,400 for the greatest) would make power() or exp() fail.
    SELECT CASE
        WHEN bucket = -1000000 THEN 0
        WHEN exponents.exponent > 709.782712893384 THEN '1.7976931348623157e308'
        WHEN exponents.exponent < -745.1 THEN 0
        ELSE exp(exponents.exponent)
    END
    FROM (
        SELECT bucket * ln(stacklens.latency_gamma()) + ln(2 / (stacklens.latency_gamma() + 1)) AS exponent
    ) AS exponents
$$;

COMMENT ON FUNCTION stacklens.latency_bucket_value(integer) IS
'Milliseconds that stand for every latency of a bucket: 2 gamma^i / (gamma + 1), at most the greatest double; 0 for'
' bucket -1000000.';


CREATE OR REPLACE FUNCTION stacklens.latency_percentile(
    buckets integer[],
    counts bigint[],
    p double precision,
    lowest double precision,
    highest double precision
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    -- numeric: 0.07 * 100 is 7, not 7.000000000000001, so that the rank is the one people expect.
    SELECT least(greatest(stacklens.latency_bucket_value(ranked.bucket), lowest), highest)
    FROM (
        SELECT
            cells.bucket,
            sum(cells.n) OVER (ORDER BY cells.bucket) AS reached,
            sum(cells.n) OVER () AS total
        FROM unnest(buckets, counts) AS cells (bucket, n)
    ) AS ranked
    WHERE ranked.reached >= greatest(ceil(p::numeric * ranked.total), 1)
    ORDER BY ranked.bucket
    LIMIT 1
$$;

COMMENT ON FUNCTION stacklens.latency_percentile(
    integer[], bigint[], double precision, double precision, double precision
) IS
'Percentile p (0 to 1) in milliseconds of a latency histogram by nearest rank, kept within the exact lowest and highest'
' latency; NULL for an empty histogram.';


CREATE OR REPLACE FUNCTION stacklens.latency_percentiles(
    histogram stacklens.latency_histogram,
    ps double precision[],
    lowest double precision,
    highest double precision
)
RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT array_agg(
        least(greatest(stacklens.latency_bucket_value(reaching.bucket), lowest), highest)
        ORDER BY reaching.place
    )
    FROM (
        SELECT
            wanted.place,
            min(ranked.bucket) FILTER (
                WHERE ranked.reached >= greatest(ceil(wanted.p::numeric * ranked.total), 1)
            ) AS bucket
        FROM (
            SELECT
                cells.bucket,
                sum(cells.n) OVER (ORDER BY cells.bucket) AS reached,
                sum(cells.n) OVER () AS total
            FROM unnest(histogram.buckets, histogram.counts) AS cells (bucket, n)
        ) AS ranked
        CROSS JOIN unnest(ps) WITH ORDINALITY AS wanted (p, place)
        GROUP BY wanted.place
    ) AS reaching
$$;

COMMENT ON FUNCTION stacklens.latency_percentiles(
    stacklens.latency_histogram, double precision[], double precision, double precision
) IS
'Several percentiles (each 0 to 1) of a latency histogram at once, in the order asked for: as'
' stacklens.latency_percentile() gives them one by one. NULL for an empty histogram.';


CREATE OR REPLACE FUNCTION stacklens.latency_merge_result(histograms stacklens.latency_histogram[])
RETURNS stacklens.latency_histogram
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT
        coalesce(array_agg(merged.bucket ORDER BY merged.bucket), '{}'),
        coalesce(array_agg(merged.n ORDER BY merged.bucket), '{}')
    FROM (
        SELECT
            cells.bucket,
            sum(cells.n)::bigint AS n
        FROM unnest(histograms) AS rows,
            LATERAL unnest(rows.buckets, rows.counts) AS cells (bucket, n)
        GROUP BY cells.bucket
    ) AS merged
$$;

COMMENT ON FUNCTION stacklens.latency_merge_result(stacklens.latency_histogram[]) IS
'Adds up latency histograms bucket by bucket; the last step of stacklens.latency_merge().';


-- (sqlfluff's grammar of PostgreSQL knows no CREATE AGGREGATE: its parsing error is to be ignored here.)
CREATE OR REPLACE AGGREGATE stacklens.latency_merge(stacklens.latency_histogram) ( -- noqa: PRS
    SFUNC = array_append,
    STYPE = stacklens.latency_histogram[],
    INITCOND = '{}',
    FINALFUNC = stacklens.latency_merge_result,
    PARALLEL = SAFE
);

COMMENT ON AGGREGATE stacklens.latency_merge(stacklens.latency_histogram) IS
'Merges the latency histograms of many rows into one; the input of stacklens.latency_percentile().';
