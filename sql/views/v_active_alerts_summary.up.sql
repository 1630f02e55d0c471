DROP VIEW IF EXISTS public.v_active_alerts_summary;

CREATE VIEW public.v_active_alerts_summary AS
SELECT
    alert.service,
    alert.severity,
    count(*) AS open_alerts,
    count(*) FILTER (WHERE alert.status = 'pending') AS pending,
    count(*) FILTER (WHERE alert.status = 'active') AS active,
    count(*) FILTER (WHERE alert.status = 'acknowledged') AS acknowledged,
    min(alert.active_since) AS oldest_active_since,
    max(alert.active_since) AS newest_active_since,
    array_agg(alert.rule_name ORDER BY alert.rule_name) AS rule_names
FROM public.analytics_alerts AS alert
WHERE alert.status <> 'resolved'
GROUP BY alert.service, alert.severity
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], alert.severity), min(alert.active_since), alert.service;

COMMENT ON VIEW public.v_active_alerts_summary IS
'Alerts that are not resolved, by service and severity; critical ones first, then the oldest.';
COMMENT ON COLUMN public.v_active_alerts_summary.service IS 'Name of the service.';
COMMENT ON COLUMN public.v_active_alerts_summary.severity IS 'critical, warning or info.';
COMMENT ON COLUMN public.v_active_alerts_summary.open_alerts IS 'Alerts that are not resolved.';
COMMENT ON COLUMN public.v_active_alerts_summary.pending IS 'Those of them that have not fired yet.';
COMMENT ON COLUMN public.v_active_alerts_summary.active IS 'Those that fired and nobody took on.';
COMMENT ON COLUMN public.v_active_alerts_summary.acknowledged IS 'Those that somebody took on.';
COMMENT ON COLUMN public.v_active_alerts_summary.oldest_active_since IS
'When the oldest of them fired; NULL when none did.';
COMMENT ON COLUMN public.v_active_alerts_summary.newest_active_since IS
'When the newest of them fired; NULL when none did.';
COMMENT ON COLUMN public.v_active_alerts_summary.rule_names IS 'The rules behind them, by name.';
