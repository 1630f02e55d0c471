-- Dropped first: a view that is replaced can gain columns but not lose or reorder them.
DROP VIEW IF EXISTS public.v_service_health_current;

CREATE VIEW public.v_service_health_current AS
SELECT
    judged.service,
    judged.health_status,
    judged.total_requests,
    judged.failed_requests,
    judged.error_rate,
    judged.latency_p50_ms,
    judged.latency_p95_ms,
    judged.latency_p99_ms
FROM (
    SELECT
        figures.*,
        CASE
            WHEN figures.total_requests = 0 THEN 'unknown'
            WHEN
                figures.error_rate > (SELECT stacklens.setting_number('health_unhealthy_error_rate', 20))
                OR figures.latency_p99_ms > (SELECT stacklens.setting_number('health_unhealthy_p99_ms', 1000))
                THEN 'unhealthy'
            WHEN
                figures.error_rate > (SELECT stacklens.setting_number('health_degraded_error_rate', 5))
                OR figures.latency_p99_ms > (SELECT stacklens.setting_number('health_degraded_p99_ms', 500))
                THEN 'degraded'
            ELSE 'healthy'
        END AS health_status
    FROM (
        SELECT
            recent.error_rate,
            coalesce(recent.service, known.service) AS service,
            coalesce(recent.total_requests, 0) AS total_requests,
            coalesce(recent.failed_requests, 0) AS failed_requests,
            recent.percentiles[1] AS latency_p50_ms,
            recent.percentiles[2] AS latency_p95_ms,
            recent.percentiles[3] AS latency_p99_ms
        FROM (
            SELECT
                totals.service,
                totals.total_requests,
                totals.failed_requests,
                totals.error_rate,
                worked.percentiles
            FROM stacklens.service_totals(now() - interval '5 minutes', now()) AS totals
            CROSS JOIN LATERAL stacklens.latency_percentiles(
                totals.latency, '{0.5,0.95,0.99}', totals.latency_min_ms, totals.latency_max_ms
            ) AS worked (percentiles)
        ) AS recent
        FULL JOIN (
            SELECT DISTINCT seen.service
            FROM public.analytics_metrics_1hour AS seen
            WHERE seen.timestamp > now() - interval '25 hours' AND seen.timestamp <= now()
        ) AS known ON recent.service = known.service
    ) AS figures
) AS judged
ORDER BY
    array_position(ARRAY['unhealthy', 'degraded', 'unknown', 'healthy'], judged.health_status) ASC,
    judged.error_rate DESC NULLS LAST,
    judged.latency_p99_ms DESC NULLS LAST,
    judged.service ASC;

COMMENT ON VIEW public.v_service_health_current IS
'Health of each service seen within a day, over the last 5 minutes and the running one; the worst first. The thresholds'
' are health_unhealthy_error_rate (20), health_unhealthy_p99_ms (1000), health_degraded_error_rate (5) and'
' health_degraded_p99_ms (500) of system_config.';
COMMENT ON COLUMN public.v_service_health_current.service IS 'Name of the service.';
COMMENT ON COLUMN public.v_service_health_current.health_status IS
'unhealthy, degraded, healthy, or unknown without traffic.';
COMMENT ON COLUMN public.v_service_health_current.total_requests IS 'Events of these minutes.';
COMMENT ON COLUMN public.v_service_health_current.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.v_service_health_current.error_rate IS
'Failed events in percent of all; NULL without traffic.';
COMMENT ON COLUMN public.v_service_health_current.latency_p50_ms IS
'Median latency in milliseconds, from merged histograms.';
COMMENT ON COLUMN public.v_service_health_current.latency_p95_ms IS
'95th percentile of the latency in milliseconds, likewise.';
COMMENT ON COLUMN public.v_service_health_current.latency_p99_ms IS
'99th percentile of the latency in milliseconds, likewise.';
