ALTER TABLE public.analytics_dead_letters ALTER COLUMN retry_count TYPE integer;

COMMENT ON COLUMN public.analytics_alert_rules.resolve_threshold IS
'What the metric has to come back over to be clear again; NULL: the threshold.';

ALTER TABLE public.analytics_alert_rules DROP CONSTRAINT analytics_alert_rules_resolve_threshold_side_check;
