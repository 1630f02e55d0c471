DROP VIEW IF EXISTS public.v_high_risk_events;

-- Raw events have no index on their risk: the hours, then the minutes tell where a look is worth it, newest first,
-- until there are enough. What was counted before the last change of the threshold was counted by another: all of it is
-- looked at. Where 1min or 1hour windows are not kept the raw events have to do alone.
CREATE VIEW public.v_high_risk_events AS
SELECT
    newest.timestamp,
    newest.service,
    newest.level,
    newest.risk_score,
    newest.latency_ms,
    newest.user_id,
    newest.request_id,
    newest.trace_id,
    newest.source_ip,
    newest.geo_country,
    newest.user_subscription_tier,
    newest.message,
    newest.error_message
FROM (
    (
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
            FROM public.analytics_metrics_1hour AS stored
            WHERE
                stored.timestamp > now() - interval '25 hours'
                AND (
                    stored.high_risk_count > 0
                    OR stored.risk_count > 0 AND stored.timestamp < (
                        SELECT c.updated_at FROM public.system_config AS c
                        WHERE c.key = 'high_risk_threshold'
                    )
                )
            GROUP BY stored.timestamp
            ORDER BY stored.timestamp DESC
        ) AS hours
        CROSS JOIN
            LATERAL (
                SELECT stored.timestamp
                FROM public.analytics_metrics_1min AS stored
                WHERE
                    stored.timestamp >= hours.timestamp
                    AND stored.timestamp < hours.timestamp + interval '1 hour'
                    AND (
                        stored.high_risk_count > 0
                        OR stored.risk_count > 0 AND stored.timestamp < (
                            SELECT c.updated_at FROM public.system_config AS c
                            WHERE c.key = 'high_risk_threshold'
                        )
                    )
                GROUP BY stored.timestamp
            ) AS minutes
        CROSS JOIN
            LATERAL (
                SELECT
                    event_row.timestamp,
                    event_row.service,
                    event_row.level,
                    event_row.risk_score,
                    event_row.latency_ms,
                    event_row.user_id,
                    event_row.request_id,
                    event_row.trace_id,
                    event_row.source_ip,
                    event_row.geo_country,
                    event_row.user_subscription_tier,
                    event_row.message,
                    event_row.error_message
                FROM public.analytics_events AS event_row
                WHERE
                    event_row.timestamp >= minutes.timestamp
                    AND event_row.timestamp < minutes.timestamp + interval '1 minute'
                    AND event_row.timestamp > now() - interval '24 hours'
                    AND event_row.risk_score > (SELECT stacklens.setting_number('high_risk_threshold', 0.8))
                ORDER BY event_row.timestamp DESC
                LIMIT 100
            ) AS found
        WHERE (SELECT stacklens.keeps_window('1min') AND stacklens.keeps_window('1hour'))
        ORDER BY hours.timestamp DESC, found.timestamp DESC
        LIMIT 100
    )
    UNION ALL
    (
        SELECT
            event_row.timestamp,
            event_row.service,
            event_row.level,
            event_row.risk_score,
            event_row.latency_ms,
            event_row.user_id,
            event_row.request_id,
            event_row.trace_id,
            event_row.source_ip,
            event_row.geo_country,
            event_row.user_subscription_tier,
            event_row.message,
            event_row.error_message
        FROM public.analytics_events AS event_row
        WHERE
            NOT (SELECT stacklens.keeps_window('1min') AND stacklens.keeps_window('1hour'))
            AND event_row.timestamp > now() - interval '24 hours'
            AND event_row.risk_score > (SELECT stacklens.setting_number('high_risk_threshold', 0.8))
        ORDER BY event_row.timestamp DESC
        LIMIT 100
    )
) AS newest
ORDER BY newest.timestamp DESC;

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
