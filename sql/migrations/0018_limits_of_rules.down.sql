ALTER TABLE public.analytics_dead_letters ALTER COLUMN retry_count TYPE integer;

ALTER TABLE public.analytics_alert_rules DROP CONSTRAINT analytics_alert_rules_description_check;

COMMENT ON COLUMN public.analytics_alert_rules.min_requests IS
'A running window with fewer events violates nothing.';

COMMENT ON COLUMN public.analytics_alert_rules.resolve_threshold IS
'What the metric has to come back over to be clear again; NULL: the threshold.';

ALTER TABLE public.analytics_alert_rules DROP CONSTRAINT analytics_alert_rules_resolve_threshold_side_check;
