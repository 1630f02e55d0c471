-- What the notifier's circuit breakers say, for whoever looks at the channels.
ALTER TABLE public.alert_channels ADD COLUMN breaker_open_since timestamptz;
ALTER TABLE public.alert_channels ADD COLUMN last_error text;

COMMENT ON COLUMN public.alert_channels.breaker_open_since IS
'Since when it is left alone because attempts failed in a row, but for a try now and then; NULL: it is not.';
COMMENT ON COLUMN public.alert_channels.last_error IS
'What went wrong with the last attempt; NULL: nothing, or there was none.';
