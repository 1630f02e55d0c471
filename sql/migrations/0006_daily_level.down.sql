DROP TABLE public.daily_level;
DROP TABLE public.analytics_metrics_1day;
