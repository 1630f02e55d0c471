DROP VIEW IF EXISTS public.v_high_risk_events;

-- Raw events have no index on their risk: the 1min windows tell which minutes are worth a look, newest first, until
-- there are enough. Minutes from before the last change of the threshold were counted by another: all are looked at.
CREATE VIEW public.v_high_risk_events AS
SELECT
    found.timestamp,
    found.service,
    found.level,
    found.risk_score,
    found.latency_ms,
    found.user_id,
    found.request_id,
    found.trace_id,
    found.source_ip,
    found.geo_country,
    found.user_subscription_tier,
    found.message,
    found.error_message
FROM (
    SELECT stored.timestamp
    FROM public.analytics_metrics_1min AS stored
    WHERE
        stored.timestamp > now() - interval '24 hours'
        AND (
            stored.high_risk_count > 0
            OR (
                stored.risk_count > 0
                AND stored.timestamp < (
                    SELECT c.updated_at FROM public.system_config AS c
                    WHERE c.key = 'high_risk_threshold'
                )
            )
        )
    GROUP BY stored.timestamp
    ORDER BY stored.timestamp DESC
) AS minutes
CROSS JOIN
    LATERAL (
        SELECT
            raw.timestamp,
            raw.service,
            raw.level,
            raw.risk_score,
            raw.latency_ms,
            raw.user_id,
            raw.request_id,
            raw.trace_id,
            raw.source_ip,
            raw.geo_country,
            raw.user_subscription_tier,
            raw.message,
            raw.error_message
        FROM public.analytics_events AS raw
        WHERE
            raw.timestamp >= minutes.timestamp
            AND raw.timestamp < minutes.timestamp + interval '1 minute'
            AND raw.risk_score > (SELECT stacklens.setting_number('high_risk_threshold', 0.8))
        ORDER BY raw.timestamp DESC
        LIMIT 100
    ) AS found
ORDER BY minutes.timestamp DESC, found.timestamp DESC
LIMIT 100;

COMMENT ON VIEW public.v_high_risk_events IS
'The newest raw events of the last 24 hours whose risk is above HIGH_RISK_THRESHOLD of system_config, 100 at most.';
COMMENT ON COLUMN public.v_high_risk_events.timestamp IS 'When the event happened.';
COMMENT ON COLUMN public.v_high_risk_events.service IS 'Service that the event is about.';
COMMENT ON COLUMN public.v_high_risk_events.level IS 'debug, info, warning, error or critical.';
COMMENT ON COLUMN public.v_high_risk_events.risk_score IS 'Business risk from 0 to 1.';
COMMENT ON COLUMN public.v_high_risk_events.latency_ms IS
'Latency in milliseconds; NULL when the event carries none.';
COMMENT ON COLUMN public.v_high_risk_events.user_id IS 'User.';
COMMENT ON COLUMN public.v_high_risk_events.request_id IS 'Request that the event belongs to.';
COMMENT ON COLUMN public.v_high_risk_events.trace_id IS 'Distributed trace that the event belongs to.';
COMMENT ON COLUMN public.v_high_risk_events.source_ip IS 'Address the request came from.';
COMMENT ON COLUMN public.v_high_risk_events.geo_country IS 'Country of the source.';
COMMENT ON COLUMN public.v_high_risk_events.user_subscription_tier IS 'Subscription tier of the user.';
COMMENT ON COLUMN public.v_high_risk_events.message IS 'Text of the log entry.';
COMMENT ON COLUMN public.v_high_risk_events.error_message IS 'Text of the error.';
