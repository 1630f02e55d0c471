DROP VIEW IF EXISTS public.v_service_performance_trend;

-- The stored hours as they are: nothing has to be merged.
CREATE VIEW public.v_service_performance_trend AS
SELECT
    stored.timestamp,
    stored.service,
    stored.total_requests,
    stored.failed_requests,
    stored.error_rate,
    stored.latency_p50_ms,
    stored.latency_p95_ms,
    stored.latency_p99_ms,
    stored.latency_mean_ms,
    -- The running hour is not over yet.
    stored.total_requests / greatest(
        date_part('epoch', least(now(), stored.timestamp + interval '1 hour') - stored.timestamp), 1
    ) AS requests_per_second
FROM public.analytics_metrics_1hour AS stored
WHERE stored.timestamp > now() - interval '7 days'
ORDER BY stored.timestamp DESC, stored.service ASC;

COMMENT ON VIEW public.v_service_performance_trend IS
'Each service hour by hour over the last 7 days, the running hour included; newest first.';
COMMENT ON COLUMN public.v_service_performance_trend.timestamp IS 'Start of the hour.';
COMMENT ON COLUMN public.v_service_performance_trend.service IS 'Name of the service.';
COMMENT ON COLUMN public.v_service_performance_trend.total_requests IS 'Events of the hour.';
COMMENT ON COLUMN public.v_service_performance_trend.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.v_service_performance_trend.error_rate IS 'Failed events in percent of all.';
COMMENT ON COLUMN public.v_service_performance_trend.latency_p50_ms IS 'Median latency in milliseconds.';
COMMENT ON COLUMN public.v_service_performance_trend.latency_p95_ms IS
'95th percentile of the latency in milliseconds.';
COMMENT ON COLUMN public.v_service_performance_trend.latency_p99_ms IS
'99th percentile of the latency in milliseconds.';
COMMENT ON COLUMN public.v_service_performance_trend.latency_mean_ms IS 'Mean latency in milliseconds.';
COMMENT ON COLUMN public.v_service_performance_trend.requests_per_second IS
'Events a second, of the part of the hour that is over.';
