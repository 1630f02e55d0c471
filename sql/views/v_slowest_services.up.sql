DROP VIEW IF EXISTS public.v_slowest_services;

-- From full hours on, to the end of the running one: then stored hours are all it takes.
CREATE VIEW public.v_slowest_services AS
SELECT
    totals.service,
    totals.total_requests,
    totals.latency_max_ms,
    totals.latency_mean_ms,
    worked.percentiles[1] AS latency_p50_ms,
    worked.percentiles[2] AS latency_p95_ms,
    worked.percentiles[3] AS latency_p99_ms
FROM
    stacklens.service_totals(
        stacklens.start_of('1 hour', now()) - interval '24 hours',
        stacklens.start_of('1 hour', now()) + interval '1 hour'
    ) AS totals
CROSS JOIN
    LATERAL stacklens.latency_percentiles(
        totals.latency, '{0.5,0.95,0.99}', totals.latency_min_ms, totals.latency_max_ms
    ) AS worked (percentiles)
WHERE totals.latency_max_ms IS NOT NULL
ORDER BY worked.percentiles[3] DESC, worked.percentiles[2] DESC, totals.service ASC;

COMMENT ON VIEW public.v_slowest_services IS
'Latencies of each service in the last 24 full hours and the running one, the slowest 99th percentile first;'
' percentiles are of the merged histograms. Services whose events carry no latency are left out.';
COMMENT ON COLUMN public.v_slowest_services.service IS 'Name of the service.';
COMMENT ON COLUMN public.v_slowest_services.total_requests IS 'Events of these hours.';
COMMENT ON COLUMN public.v_slowest_services.latency_p50_ms IS 'Median latency in milliseconds.';
COMMENT ON COLUMN public.v_slowest_services.latency_p95_ms IS '95th percentile of the latency in milliseconds.';
COMMENT ON COLUMN public.v_slowest_services.latency_p99_ms IS '99th percentile of the latency in milliseconds.';
COMMENT ON COLUMN public.v_slowest_services.latency_max_ms IS 'Greatest latency in milliseconds, exact.';
COMMENT ON COLUMN public.v_slowest_services.latency_mean_ms IS 'Mean latency in milliseconds.';
