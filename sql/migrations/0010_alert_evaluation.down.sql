ALTER TABLE public.kafka_offsets DROP COLUMN caught_up_at;
DROP TABLE public.alert_outbox;
ALTER TABLE public.analytics_alert_history DROP COLUMN transition_id;
DROP TABLE public.alert_states;
DROP TABLE public.leases;
