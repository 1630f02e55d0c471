DROP VIEW IF EXISTS public.v_service_performance_trend;
