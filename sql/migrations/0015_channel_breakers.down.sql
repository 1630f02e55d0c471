ALTER TABLE public.alert_channels DROP COLUMN last_error;
ALTER TABLE public.alert_channels DROP COLUMN breaker_open_since;
