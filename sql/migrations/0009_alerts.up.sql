-- Alerts: the rules people write, the episodes they lead to, and the trail of each.
CREATE TABLE public.analytics_alert_rules (
    id bigserial PRIMARY KEY,
    rule_name text NOT NULL,
    description text,
    service text COLLATE "C" NOT NULL DEFAULT '*',
    metric_name text NOT NULL,
    window_size text NOT NULL DEFAULT '1min',
    operator text NOT NULL,
    threshold double precision NOT NULL,
    resolve_threshold double precision,
    duration_seconds integer NOT NULL DEFAULT 60,
    keep_firing_seconds integer NOT NULL DEFAULT 60,
    min_requests bigint NOT NULL DEFAULT 1,
    no_data_policy text NOT NULL DEFAULT 'resolve',
    severity text NOT NULL,
    notification_channels text[] NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT TRUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT analytics_alert_rules_rule_name_key UNIQUE (rule_name),
    CONSTRAINT analytics_alert_rules_rule_name_check CHECK (length(rule_name) BETWEEN 1 AND 255),
    CONSTRAINT analytics_alert_rules_service_check CHECK (length(service) BETWEEN 1 AND 255),
    CONSTRAINT analytics_alert_rules_metric_name_check CHECK (
        metric_name IN (
            'total_requests', 'successful_requests', 'failed_requests', 'error_rate',
            'latency_min_ms', 'latency_p50_ms', 'latency_p95_ms', 'latency_p99_ms', 'latency_max_ms',
            'latency_mean_ms', 'latency_count', 'latency_sum_ms', 'unique_users', 'unique_ips',
            'avg_risk_score', 'high_risk_count', 'risk_count', 'risk_sum'
        )
    ),
    CONSTRAINT analytics_alert_rules_window_size_check CHECK (window_size IN ('1min', '5min', '1hour')),
    CONSTRAINT analytics_alert_rules_operator_check CHECK (operator IN ('>', '<', '>=', '<=', '==')),
    -- NaN is greater than infinity here, so that both comparisons leave it out.
    CONSTRAINT analytics_alert_rules_threshold_check CHECK (
        threshold > '-Infinity' AND threshold < 'Infinity'
    ),
    CONSTRAINT analytics_alert_rules_resolve_threshold_check CHECK (
        resolve_threshold > '-Infinity' AND resolve_threshold < 'Infinity'
    ),
    CONSTRAINT analytics_alert_rules_duration_seconds_check CHECK (duration_seconds >= 0),
    CONSTRAINT analytics_alert_rules_keep_firing_seconds_check CHECK (keep_firing_seconds >= 0),
    CONSTRAINT analytics_alert_rules_min_requests_check CHECK (min_requests >= 1),
    CONSTRAINT analytics_alert_rules_no_data_policy_check CHECK (no_data_policy IN ('resolve', 'keep', 'alert')),
    CONSTRAINT analytics_alert_rules_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT analytics_alert_rules_notification_channels_check CHECK (
        notification_channels <@ ARRAY['slack', 'email', 'pagerduty']
    )
);

COMMENT ON TABLE public.analytics_alert_rules IS
'Alert rules. A window of a service violates a rule when its metric compares with the threshold as the operator says.';
COMMENT ON COLUMN public.analytics_alert_rules.id IS 'Number of the rule.';
COMMENT ON COLUMN public.analytics_alert_rules.rule_name IS 'Its name, unique.';
COMMENT ON COLUMN public.analytics_alert_rules.description IS 'What it is for, and what to do when it fires.';
COMMENT ON COLUMN public.analytics_alert_rules.service IS 'The service it watches; * is every service.';
COMMENT ON COLUMN public.analytics_alert_rules.metric_name IS
'Numeric column of the metrics tables that is compared.';
COMMENT ON COLUMN public.analytics_alert_rules.window_size IS 'Which windows: 1min, 5min or 1hour.';
COMMENT ON COLUMN public.analytics_alert_rules.operator IS 'Comparison: >, <, >=, <= or ==.';
COMMENT ON COLUMN public.analytics_alert_rules.threshold IS 'What the metric is compared with, in its unit.';
COMMENT ON COLUMN public.analytics_alert_rules.resolve_threshold IS
'What the metric has to come back over to be clear again; NULL: the threshold.';
COMMENT ON COLUMN public.analytics_alert_rules.duration_seconds IS
'For how long it must be violated until it fires; 0: at once.';
COMMENT ON COLUMN public.analytics_alert_rules.keep_firing_seconds IS
'For how long it must be clear until the alert is resolved.';
COMMENT ON COLUMN public.analytics_alert_rules.min_requests IS
'A running window with fewer events violates nothing.';
COMMENT ON COLUMN public.analytics_alert_rules.no_data_policy IS
'After 5 minutes without data: resolve the alert, keep its state, or alert.';
COMMENT ON COLUMN public.analytics_alert_rules.severity IS 'info, warning or critical.';
COMMENT ON COLUMN public.analytics_alert_rules.notification_channels IS
'Where it is told: any of slack, email and pagerduty.';
COMMENT ON COLUMN public.analytics_alert_rules.enabled IS 'Whether it is evaluated.';
COMMENT ON COLUMN public.analytics_alert_rules.created_at IS 'When the rule was made.';
COMMENT ON COLUMN public.analytics_alert_rules.updated_at IS 'When it was last changed.';

CREATE TABLE public.analytics_alerts (
    id bigserial PRIMARY KEY,
    rule_name text NOT NULL,
    service text COLLATE "C" NOT NULL,
    severity text NOT NULL,
    metric_name text NOT NULL,
    window_size text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    threshold double precision NOT NULL,
    value double precision,
    fingerprint text NOT NULL,
    episode_id uuid NOT NULL DEFAULT gen_random_uuid(),
    pending_since timestamptz NOT NULL DEFAULT now(),
    active_since timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    CONSTRAINT analytics_alerts_episode_id_key UNIQUE (episode_id),
    CONSTRAINT analytics_alerts_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT analytics_alerts_window_size_check CHECK (window_size IN ('1min', '5min', '1hour')),
    CONSTRAINT analytics_alerts_status_check CHECK (status IN ('pending', 'active', 'acknowledged', 'resolved')),
    CONSTRAINT analytics_alerts_active_since_check CHECK ((status = 'pending') = (active_since IS NULL)),
    CONSTRAINT analytics_alerts_acknowledged_at_check CHECK (
        status <> 'acknowledged' OR acknowledged_at IS NOT NULL
    ),
    CONSTRAINT analytics_alerts_resolved_at_check CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
);

CREATE UNIQUE INDEX analytics_alerts_one_open_key ON public.analytics_alerts (rule_name, service)
WHERE status <> 'resolved';

CREATE INDEX analytics_alerts_resolved_at_idx ON public.analytics_alerts (resolved_at)
WHERE status = 'resolved';

CREATE INDEX analytics_alerts_active_since_idx ON public.analytics_alerts (active_since DESC);

COMMENT ON TABLE public.analytics_alerts IS
'Episodes of alerts: one row from the first violation to the resolution. Cold tier, counted from the resolution. A'
' pending alert that never fired leaves no row behind. At most one of a rule and a service is not resolved.';
COMMENT ON COLUMN public.analytics_alerts.id IS 'Number of the alert.';
COMMENT ON COLUMN public.analytics_alerts.rule_name IS 'Rule that fired; the rule itself may be gone since.';
COMMENT ON COLUMN public.analytics_alerts.service IS 'Service that it is about.';
COMMENT ON COLUMN public.analytics_alerts.severity IS 'Severity of the rule: info, warning or critical.';
COMMENT ON COLUMN public.analytics_alerts.metric_name IS 'Metric of the rule.';
COMMENT ON COLUMN public.analytics_alerts.window_size IS 'Windows of the rule: 1min, 5min or 1hour.';
COMMENT ON COLUMN public.analytics_alerts.status IS 'pending, active, acknowledged or resolved.';
COMMENT ON COLUMN public.analytics_alerts.threshold IS 'Threshold of the rule.';
COMMENT ON COLUMN public.analytics_alerts.value IS 'The metric''s value last seen; NULL: there were no data.';
COMMENT ON COLUMN public.analytics_alerts.fingerprint IS
'The same for every episode of a rule and a service; key of the messages on the alert topic.';
COMMENT ON COLUMN public.analytics_alerts.episode_id IS 'This episode, told apart from earlier and later ones.';
COMMENT ON COLUMN public.analytics_alerts.pending_since IS 'Since when the rule was violated.';
COMMENT ON COLUMN public.analytics_alerts.active_since IS 'When the alert fired; NULL while it is pending.';
COMMENT ON COLUMN public.analytics_alerts.acknowledged_at IS 'When somebody took it on; NULL: nobody did.';
COMMENT ON COLUMN public.analytics_alerts.acknowledged_by IS 'Who did.';
COMMENT ON COLUMN public.analytics_alerts.resolved_at IS 'When it was over; NULL while it is open.';

CREATE TABLE public.analytics_alert_history (
    id bigserial PRIMARY KEY,
    alert_id bigint NOT NULL,
    episode_id uuid NOT NULL,
    sequence integer NOT NULL,
    from_status text NOT NULL,
    to_status text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    value double precision,
    actor text,
    comment text,
    CONSTRAINT analytics_alert_history_alert_id_fkey FOREIGN KEY (alert_id)
    REFERENCES public.analytics_alerts (id) ON DELETE CASCADE,
    CONSTRAINT analytics_alert_history_sequence_key UNIQUE (episode_id, sequence),
    CONSTRAINT analytics_alert_history_sequence_check CHECK (sequence >= 1),
    CONSTRAINT analytics_alert_history_from_status_check CHECK (
        from_status IN ('inactive', 'pending', 'active', 'acknowledged', 'resolved')
    ),
    CONSTRAINT analytics_alert_history_to_status_check CHECK (
        to_status IN ('pending', 'active', 'acknowledged', 'resolved')
    )
);

CREATE INDEX analytics_alert_history_alert_id_idx ON public.analytics_alert_history (alert_id);

COMMENT ON TABLE public.analytics_alert_history IS
'Every transition of an alert; goes away with its alert.';
COMMENT ON COLUMN public.analytics_alert_history.id IS 'Number of the transition.';
COMMENT ON COLUMN public.analytics_alert_history.alert_id IS 'The alert.';
COMMENT ON COLUMN public.analytics_alert_history.episode_id IS 'Its episode.';
COMMENT ON COLUMN public.analytics_alert_history.sequence IS '1, 2, 3... within the episode.';
COMMENT ON COLUMN public.analytics_alert_history.from_status IS 'Status before; inactive at the beginning.';
COMMENT ON COLUMN public.analytics_alert_history.to_status IS 'Status afterwards.';
COMMENT ON COLUMN public.analytics_alert_history.at IS 'When.';
COMMENT ON COLUMN public.analytics_alert_history.value IS 'The metric''s value at that moment.';
COMMENT ON COLUMN public.analytics_alert_history.actor IS 'Who did it; NULL: the evaluator.';
COMMENT ON COLUMN public.analytics_alert_history.comment IS 'What they said about it.';
