-- Telling people: silences, what is known of each episode, what each channel was told of it, and who changed what.
CREATE TABLE public.alert_silences (
    id bigserial PRIMARY KEY,
    rule_name text,
    service text COLLATE "C",
    severity text,
    metric_name text,
    starts_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    author text NOT NULL,
    comment text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_silences_matcher_check CHECK (num_nonnulls(rule_name, service, severity, metric_name) >= 1),
    CONSTRAINT alert_silences_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT alert_silences_ends_at_check CHECK (ends_at >= starts_at),
    CONSTRAINT alert_silences_author_check CHECK (length(author) BETWEEN 1 AND 255),
    CONSTRAINT alert_silences_comment_check CHECK (length(comment) BETWEEN 1 AND 2000)
);

CREATE INDEX alert_silences_ends_at_idx ON public.alert_silences (ends_at);

COMMENT ON TABLE public.alert_silences IS
'Silences: nobody is told of alerts that match, from starts_at up to ends_at; the alerts go on. Every matcher that is'
' not NULL has to match. Cold tier, counted from the end.';
COMMENT ON COLUMN public.alert_silences.id IS 'Number of the silence.';
COMMENT ON COLUMN public.alert_silences.rule_name IS 'Rule of the alert; * stands for any characters. NULL: any rule.';
COMMENT ON COLUMN public.alert_silences.service IS 'Its service; * stands for any characters. NULL: any service.';
COMMENT ON COLUMN public.alert_silences.severity IS 'Its severity. NULL: any.';
COMMENT ON COLUMN public.alert_silences.metric_name IS 'Its metric. NULL: any.';
COMMENT ON COLUMN public.alert_silences.starts_at IS 'From when.';
COMMENT ON COLUMN public.alert_silences.ends_at IS 'Until when; who ends it early sets this to that moment.';
COMMENT ON COLUMN public.alert_silences.author IS 'Who made it.';
COMMENT ON COLUMN public.alert_silences.comment IS 'Why.';
COMMENT ON COLUMN public.alert_silences.created_at IS 'When it was made.';

CREATE TABLE public.alert_channels (
    channel text PRIMARY KEY,
    on_since timestamptz,
    paused_until timestamptz,
    digest_at timestamptz,
    CONSTRAINT alert_channels_channel_check CHECK (channel IN ('slack', 'email', 'pagerduty'))
);

COMMENT ON TABLE public.alert_channels IS 'The channels, as the notifier that runs has them.';
COMMENT ON COLUMN public.alert_channels.channel IS 'slack, email or pagerduty.';
COMMENT ON COLUMN public.alert_channels.on_since IS 'Since when it is configured; NULL: it is off.';
COMMENT ON COLUMN public.alert_channels.paused_until IS
'The other side asked not to be spoken to before this moment; NULL: it did not.';
COMMENT ON COLUMN public.alert_channels.digest_at IS 'When the last digest was sent; NULL: never.';

CREATE TABLE public.notified_episodes (
    episode_id uuid PRIMARY KEY,
    alert_id bigint NOT NULL,
    fingerprint text NOT NULL,
    rule_name text NOT NULL,
    service text COLLATE "C" NOT NULL,
    severity text NOT NULL,
    metric_name text NOT NULL,
    window_size text NOT NULL,
    operator text,
    threshold double precision NOT NULL,
    description text,
    notification_channels text[] NOT NULL DEFAULT '{}',
    status text NOT NULL,
    sequence integer NOT NULL,
    transition_id uuid NOT NULL,
    firing_transition_id uuid,
    value double precision,
    window_start timestamptz,
    pending_since timestamptz,
    active_since timestamptz,
    changed_at timestamptz NOT NULL,
    heard_at timestamptz,
    actor text,
    comment text,
    settled_channels text[] NOT NULL DEFAULT '{}',
    settled_at timestamptz,
    CONSTRAINT notified_episodes_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT notified_episodes_status_check CHECK (status IN ('pending', 'active', 'acknowledged', 'resolved')),
    CONSTRAINT notified_episodes_sequence_check CHECK (sequence >= 1)
);

CREATE INDEX notified_episodes_unsettled_idx ON public.notified_episodes (service)
WHERE settled_at IS NULL;
CREATE INDEX notified_episodes_changed_at_idx ON public.notified_episodes (changed_at)
WHERE status = 'resolved';

COMMENT ON TABLE public.notified_episodes IS
'What the notifier knows of each episode of an alert, from the alert topic. Cold tier, counted from the resolution.';
COMMENT ON COLUMN public.notified_episodes.episode_id IS 'The episode.';
COMMENT ON COLUMN public.notified_episodes.alert_id IS 'Its alert.';
COMMENT ON COLUMN public.notified_episodes.fingerprint IS 'The same for every episode of a rule and a service.';
COMMENT ON COLUMN public.notified_episodes.rule_name IS 'Rule that fired.';
COMMENT ON COLUMN public.notified_episodes.service IS 'Service that it is about.';
COMMENT ON COLUMN public.notified_episodes.severity IS 'Severity: info, warning or critical.';
COMMENT ON COLUMN public.notified_episodes.metric_name IS 'Metric of the rule.';
COMMENT ON COLUMN public.notified_episodes.window_size IS 'Windows of the rule: 1min, 5min or 1hour.';
COMMENT ON COLUMN public.notified_episodes.operator IS 'Comparison of the rule; NULL: not told.';
COMMENT ON COLUMN public.notified_episodes.threshold IS 'Threshold of the rule.';
COMMENT ON COLUMN public.notified_episodes.description IS 'Description of the rule; NULL: it has none.';
COMMENT ON COLUMN public.notified_episodes.notification_channels IS 'Where the rule wants it told.';
COMMENT ON COLUMN public.notified_episodes.status IS 'pending, active, acknowledged or resolved, as last heard.';
COMMENT ON COLUMN public.notified_episodes.sequence IS
'Number of the last transition heard of; messages up to it are ignored.';
COMMENT ON COLUMN public.notified_episodes.transition_id IS 'The last transition heard of.';
COMMENT ON COLUMN public.notified_episodes.firing_transition_id IS
'The transition by which it fired; NULL: not heard of yet.';
COMMENT ON COLUMN public.notified_episodes.value IS 'The metric''s value last told; NULL: there were no data.';
COMMENT ON COLUMN public.notified_episodes.window_start IS 'The window with that value; NULL: none.';
COMMENT ON COLUMN public.notified_episodes.pending_since IS
'Since when the rule was violated; NULL: it fired at once.';
COMMENT ON COLUMN public.notified_episodes.active_since IS 'When it fired; NULL: not heard of yet.';
COMMENT ON COLUMN public.notified_episodes.changed_at IS 'When the last transition happened.';
COMMENT ON COLUMN public.notified_episodes.heard_at IS
'When the notifier heard that it fired; much later than active_since: the notifier was away.';
COMMENT ON COLUMN public.notified_episodes.actor IS 'Who caused the last transition; NULL: the evaluator.';
COMMENT ON COLUMN public.notified_episodes.comment IS 'What was said about the last transition.';
COMMENT ON COLUMN public.notified_episodes.settled_channels IS 'Channels that have nothing more to say about it.';
COMMENT ON COLUMN public.notified_episodes.settled_at IS
'Since when no channel has anything more to say about it; NULL: one may have.';

CREATE TABLE public.alert_deliveries (
    id bigserial PRIMARY KEY,
    episode_id uuid NOT NULL,
    transition_id uuid NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL,
    repetition integer NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending',
    reason text,
    message_id uuid,
    attempts integer NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT alert_deliveries_episode_id_fkey FOREIGN KEY (episode_id)
    REFERENCES public.notified_episodes (episode_id) ON DELETE CASCADE,
    CONSTRAINT alert_deliveries_key UNIQUE (transition_id, channel, kind, repetition),
    CONSTRAINT alert_deliveries_channel_check CHECK (channel IN ('slack', 'email', 'pagerduty')),
    CONSTRAINT alert_deliveries_kind_check CHECK (
        kind IN ('firing', 'repeat', 'acknowledged', 'resolved', 'passed')
    ),
    CONSTRAINT alert_deliveries_status_check CHECK (status IN ('pending', 'sent', 'failed', 'withheld', 'replaced'))
);

CREATE INDEX alert_deliveries_episode_id_idx ON public.alert_deliveries (episode_id, channel);
CREATE INDEX alert_deliveries_pending_idx ON public.alert_deliveries (channel)
WHERE status = 'pending';
CREATE INDEX alert_deliveries_sent_idx ON public.alert_deliveries (channel, finished_at)
WHERE status = 'sent';

COMMENT ON TABLE public.alert_deliveries IS
'What each channel was told of each transition, and how that went. Goes away with its episode.';
COMMENT ON COLUMN public.alert_deliveries.id IS 'Number of the delivery.';
COMMENT ON COLUMN public.alert_deliveries.episode_id IS 'The episode.';
COMMENT ON COLUMN public.alert_deliveries.transition_id IS
'The transition that is told; for a repeat the one by which it fired.';
COMMENT ON COLUMN public.alert_deliveries.channel IS 'slack, email or pagerduty.';
COMMENT ON COLUMN public.alert_deliveries.kind IS
'firing, repeat, acknowledged, resolved, or passed: that it fired and is over, told in one.';
COMMENT ON COLUMN public.alert_deliveries.repetition IS 'Which repeat it is; 0 for other kinds.';
COMMENT ON COLUMN public.alert_deliveries.status IS
'pending: to be sent or sent again; sent; failed: refused for good; withheld: see reason; replaced: the alert went on'
' before it could be sent.';
COMMENT ON COLUMN public.alert_deliveries.reason IS 'Why it is withheld: silenced, muted, ...; NULL: it is not.';
COMMENT ON COLUMN public.alert_deliveries.message_id IS
'The message it was sent in, with others of its group; NULL: not tried yet.';
COMMENT ON COLUMN public.alert_deliveries.attempts IS 'How often it was tried.';
COMMENT ON COLUMN public.alert_deliveries.next_try_at IS 'Not to be tried again before; NULL: at once, or never.';
COMMENT ON COLUMN public.alert_deliveries.last_error IS 'How the last attempt failed; NULL: it did not.';
COMMENT ON COLUMN public.alert_deliveries.created_at IS 'When it became due.';
COMMENT ON COLUMN public.alert_deliveries.finished_at IS 'When it was sent or refused; NULL: not yet.';

CREATE TABLE public.audit_trail (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    subject_id text NOT NULL,
    comment text,
    detail jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT audit_trail_action_check CHECK (action IN ('create', 'change', 'remove')),
    CONSTRAINT audit_trail_subject_check CHECK (subject IN ('rule', 'silence'))
);

CREATE INDEX audit_trail_subject_idx ON public.audit_trail (subject, subject_id, id DESC);

COMMENT ON TABLE public.audit_trail IS
'Who changed rules and silences, when and why; what people do with alerts is in analytics_alert_history. Is kept.';
COMMENT ON COLUMN public.audit_trail.id IS 'Number of the entry.';
COMMENT ON COLUMN public.audit_trail.at IS 'When.';
COMMENT ON COLUMN public.audit_trail.actor IS 'Who.';
COMMENT ON COLUMN public.audit_trail.action IS 'create, change or remove.';
COMMENT ON COLUMN public.audit_trail.subject IS 'What was changed: rule or silence.';
COMMENT ON COLUMN public.audit_trail.subject_id IS 'Name of the rule, or number of the silence.';
COMMENT ON COLUMN public.audit_trail.comment IS 'What they said about it; NULL: nothing.';
COMMENT ON COLUMN public.audit_trail.detail IS 'before and after, as far as there is one.';
