DROP TABLE public.analytics_alert_history;
DROP TABLE public.analytics_alerts;
DROP TABLE public.analytics_alert_rules;
