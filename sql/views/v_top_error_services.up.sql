DROP VIEW IF EXISTS public.v_top_error_services;

-- From full hours on, to the end of the running one: then stored hours are all it takes.
CREATE VIEW public.v_top_error_services AS
SELECT
    totals.service,
    totals.total_requests,
    totals.failed_requests,
    totals.error_rate
FROM
    stacklens.service_totals(
        stacklens.start_of('1 hour', now()) - interval '24 hours',
        stacklens.start_of('1 hour', now()) + interval '1 hour'
    ) AS totals
WHERE totals.failed_requests > 0
ORDER BY totals.failed_requests DESC, totals.error_rate DESC, totals.service ASC;

COMMENT ON VIEW public.v_top_error_services IS
'Services with failed events in the last 24 full hours and the running one, the most first.';
COMMENT ON COLUMN public.v_top_error_services.service IS 'Name of the service.';
COMMENT ON COLUMN public.v_top_error_services.total_requests IS 'Events of these hours.';
COMMENT ON COLUMN public.v_top_error_services.failed_requests IS 'Events of level error or critical.';
COMMENT ON COLUMN public.v_top_error_services.error_rate IS 'Failed events in percent of all.';
