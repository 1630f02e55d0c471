DROP VIEW IF EXISTS public.v_high_risk_events;
