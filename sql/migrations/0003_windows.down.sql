DROP TABLE public.analytics_metrics_1hour;
DROP TABLE public.analytics_metrics_5min;
DROP TABLE public.analytics_metrics_1min;
