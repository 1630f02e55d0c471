DROP FUNCTION IF EXISTS public.analytics_calculate_sla(text, timestamptz);
