DROP FUNCTION IF EXISTS public.analytics_get_alert_stats();
