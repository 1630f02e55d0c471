ALTER TABLE public.analytics_alert_history DROP COLUMN window_start;
ALTER TABLE public.analytics_alerts DROP COLUMN window_start;
