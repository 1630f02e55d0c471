-- What the evaluator of alert rules needs: who evaluates, where each alert stands, and what is still to be published.
CREATE TABLE public.leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL CHECK (epoch >= 1),
    expires_at timestamptz NOT NULL
);

COMMENT ON TABLE public.leases IS
'Who does what only one may do. A transaction that does it first locks this row with its own holder and epoch.';
COMMENT ON COLUMN public.leases.name IS 'What it is for.';
COMMENT ON COLUMN public.leases.holder IS 'The process that holds it.';
COMMENT ON COLUMN public.leases.epoch IS 'One more each time that it changes hands: tells a holder from its own past.';
COMMENT ON COLUMN public.leases.expires_at IS 'Until when, unless it is renewed; by the clock of the database.';

CREATE TABLE public.alert_states (
    rule_name text NOT NULL,
    service text COLLATE "C" NOT NULL,
    alert_id bigint,
    clear_since timestamptz,
    no_data_since timestamptz,
    PRIMARY KEY (rule_name, service),
    CONSTRAINT alert_states_alert_id_fkey FOREIGN KEY (alert_id) REFERENCES public.analytics_alerts (id)
    ON DELETE CASCADE
);

CREATE INDEX alert_states_alert_id_idx ON public.alert_states (alert_id);

COMMENT ON TABLE public.alert_states IS
'What the evaluator remembers of a rule and a service besides the open alert, so that a restart restarts no clock.';
COMMENT ON COLUMN public.alert_states.rule_name IS 'Name of the rule.';
COMMENT ON COLUMN public.alert_states.service IS 'The service.';
COMMENT ON COLUMN public.alert_states.alert_id IS 'The open alert; NULL: there is none.';
COMMENT ON COLUMN public.alert_states.clear_since IS 'Since when an open alert''s rule is clear; NULL: it is not.';
COMMENT ON COLUMN public.alert_states.no_data_since IS 'Since when there are no data; NULL: there are.';

ALTER TABLE public.analytics_alert_history ADD COLUMN transition_id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE public.analytics_alert_history
ADD CONSTRAINT analytics_alert_history_transition_id_key UNIQUE (transition_id);

COMMENT ON COLUMN public.analytics_alert_history.transition_id IS
'The same as in the transition''s message on the alert topic.';

CREATE TABLE public.alert_outbox (
    id bigserial PRIMARY KEY,
    fingerprint text NOT NULL,
    message jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
);

CREATE INDEX alert_outbox_unsent_idx ON public.alert_outbox (id)
WHERE sent_at IS NULL;
CREATE INDEX alert_outbox_sent_at_idx ON public.alert_outbox (sent_at)
WHERE sent_at IS NOT NULL;

COMMENT ON TABLE public.alert_outbox IS
'Messages for the alert topic, written in the transaction of the transition that they tell; published in the order of'
' their ids, at least once. Cold tier, counted from the sending.';
COMMENT ON COLUMN public.alert_outbox.id IS 'Number of the message.';
COMMENT ON COLUMN public.alert_outbox.fingerprint IS 'Its key on the topic: keeps the messages of an alert in order.';
COMMENT ON COLUMN public.alert_outbox.message IS 'The message.';
COMMENT ON COLUMN public.alert_outbox.created_at IS 'When the transition happened.';
COMMENT ON COLUMN public.alert_outbox.sent_at IS 'When the broker had it; NULL: not yet.';

ALTER TABLE public.kafka_offsets ADD COLUMN caught_up_at timestamptz;

COMMENT ON COLUMN public.kafka_offsets.caught_up_at IS
'Everything produced to the partition before this moment is stored, by the clock of the broker; NULL: not known yet.';
