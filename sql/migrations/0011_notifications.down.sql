DROP TABLE public.audit_trail;
DROP TABLE public.alert_deliveries;
DROP TABLE public.notified_episodes;
DROP TABLE public.alert_channels;
DROP TABLE public.alert_silences;
