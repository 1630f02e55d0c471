-- A resolve threshold on the wrong side made an alert fire and resolve in turns.
-- NOT VALID: rules that are there already stay, and are refused when they are changed.
ALTER TABLE public.analytics_alert_rules ADD CONSTRAINT analytics_alert_rules_resolve_threshold_side_check CHECK (
    CASE
        WHEN operator IN ('>', '>=') THEN resolve_threshold <= threshold
        WHEN operator IN ('<', '<=') THEN resolve_threshold >= threshold
        ELSE resolve_threshold = threshold
    END
) NOT VALID;

COMMENT ON COLUMN public.analytics_alert_rules.resolve_threshold IS
'What the metric has to come back over to be clear again, not beyond the threshold on the side that violates it; NULL:'
' the threshold.';

COMMENT ON COLUMN public.analytics_alert_rules.min_requests IS
'A window with fewer events violates nothing.';

-- It is in every message of the rule's alerts, and a broker refuses those that are too large.
ALTER TABLE public.analytics_alert_rules ADD CONSTRAINT analytics_alert_rules_description_check CHECK (
    length(description) <= 10000
) NOT VALID;

-- As every other count.
ALTER TABLE public.analytics_dead_letters ALTER COLUMN retry_count TYPE bigint;
