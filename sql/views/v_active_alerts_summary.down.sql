DROP VIEW IF EXISTS public.v_active_alerts_summary;
