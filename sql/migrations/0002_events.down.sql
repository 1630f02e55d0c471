DROP TABLE public.analytics_events;
