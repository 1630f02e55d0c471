DROP VIEW IF EXISTS public.v_slowest_services;
