CREATE OR REPLACE FUNCTION public.analytics_get_alert_stats()
RETURNS TABLE (
    severity text,
    open_alerts bigint,
    pending bigint,
    active bigint,
    acknowledged bigint,
    resolved bigint,
    opened_24h bigint,
    resolved_24h bigint,
    mean_seconds_to_acknowledge double precision,
    mean_seconds_to_resolve double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        listed.severity,
        count(*) FILTER (WHERE alert.status <> 'resolved'),
        count(*) FILTER (WHERE alert.status = 'pending'),
        count(*) FILTER (WHERE alert.status = 'active'),
        count(*) FILTER (WHERE alert.status = 'acknowledged'),
        count(*) FILTER (WHERE alert.status = 'resolved'),
        count(*) FILTER (WHERE alert.active_since >= now() - interval '24 hours'),
        count(*) FILTER (WHERE alert.resolved_at >= now() - interval '24 hours'),
        avg(extract(epoch FROM alert.acknowledged_at - alert.active_since)::double precision),
        avg(extract(epoch FROM alert.resolved_at - alert.active_since)::double precision)
    FROM (VALUES (1, 'critical'), (2, 'warning'), (3, 'info'), (4, 'all')) AS listed (place, severity)
    LEFT JOIN public.analytics_alerts AS alert ON listed.severity IN (alert.severity, 'all')
    GROUP BY listed.place, listed.severity
    ORDER BY listed.place
$$;

COMMENT ON FUNCTION public.analytics_get_alert_stats() IS
'Alerts by severity and status: always four rows, critical, warning, info and all. Opened: fired within 24 hours. Means'
' are in seconds from firing, over the alerts still kept; NULL where there is none to take it of.';
