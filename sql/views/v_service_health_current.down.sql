DROP VIEW IF EXISTS public.v_service_health_current;
