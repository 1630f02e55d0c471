-- Which window an alert saw, beside its value.
ALTER TABLE public.analytics_alerts ADD COLUMN window_start timestamptz;
ALTER TABLE public.analytics_alert_history ADD COLUMN window_start timestamptz;

COMMENT ON COLUMN public.analytics_alerts.window_start IS
'Start of the window in which that value was seen; NULL: there were no data.';
COMMENT ON COLUMN public.analytics_alert_history.window_start IS
'Start of the window with that value; NULL: none was looked at.';
