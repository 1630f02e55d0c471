DROP VIEW IF EXISTS public.v_top_error_services;
