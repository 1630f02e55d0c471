DROP TABLE public.retention_tiers;
DROP TABLE public.system_config;
