-- How far each partition has been stored, and what could not be stored.
CREATE TABLE public.topic_incarnations (
    topic text NOT NULL,
    topic_incarnation integer NOT NULL CHECK (topic_incarnation >= 1),
    topic_id text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_incarnation),
    UNIQUE (topic, topic_id)
);

COMMENT ON TABLE public.topic_incarnations IS
'Every identity a topic name has had: a topic deleted and created anew has another id and begins at its first offset.';
COMMENT ON COLUMN public.topic_incarnations.topic IS 'Name of the topic.';
COMMENT ON COLUMN public.topic_incarnations.topic_incarnation IS 'Number of the incarnation, from 1, per topic name.';
COMMENT ON COLUMN public.topic_incarnations.topic_id IS 'The topic id that the brokers gave it.';
COMMENT ON COLUMN public.topic_incarnations.first_seen_at IS 'When a worker first met this incarnation.';

-- Updated by every flush, never in an indexed column: room for updates that touch no index.
CREATE TABLE public.kafka_offsets (
    topic text NOT NULL,
    topic_incarnation integer NOT NULL,
    kafka_partition integer NOT NULL CHECK (kafka_partition >= 0),
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    lag bigint,
    lag_measured_at timestamptz,
    events_stored bigint NOT NULL DEFAULT 0,
    events_dead_lettered bigint NOT NULL DEFAULT 0,
    events_lost bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_incarnation, kafka_partition),
    FOREIGN KEY (topic, topic_incarnation) REFERENCES public.topic_incarnations (topic, topic_incarnation)
) WITH (fillfactor = 50);

COMMENT ON TABLE public.kafka_offsets IS
'The position of each partition, moved by compare-and-set in the transaction that stores its events: exactly once.';
COMMENT ON COLUMN public.kafka_offsets.topic IS 'Name of the topic.';
COMMENT ON COLUMN public.kafka_offsets.topic_incarnation IS 'Which incarnation of the topic.';
COMMENT ON COLUMN public.kafka_offsets.kafka_partition IS 'Number of the partition.';
COMMENT ON COLUMN public.kafka_offsets.next_offset IS 'First offset that is not stored yet.';
COMMENT ON COLUMN public.kafka_offsets.lag IS 'Messages behind the end of the partition when last measured.';
COMMENT ON COLUMN public.kafka_offsets.lag_measured_at IS 'When lag was measured; NULL: never.';
COMMENT ON COLUMN public.kafka_offsets.events_stored IS 'Events of this partition stored so far.';
COMMENT ON COLUMN public.kafka_offsets.events_dead_lettered IS 'Messages of this partition dead-lettered so far.';
COMMENT ON COLUMN public.kafka_offsets.events_lost IS 'Messages gone from the broker before they could be read.';
COMMENT ON COLUMN public.kafka_offsets.updated_at IS 'When the row was last written.';

CREATE TABLE public.analytics_dead_letters (
    id bigserial PRIMARY KEY,
    topic text NOT NULL,
    topic_incarnation integer NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    reason text NOT NULL,
    detail text,
    raw_key bytea,
    raw_value bytea,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'replayed', 'discarded')),
    retry_count integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
    topic_copy text NOT NULL DEFAULT 'pending' CHECK (topic_copy IN ('pending', 'sent', 'refused')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Not unique: a broker that lost its tail gives the same offsets to other messages. A letter is written once because of
-- the compare-and-set of its partition's offset in the same transaction.
CREATE INDEX analytics_dead_letters_origin_idx ON public.analytics_dead_letters
(topic, topic_incarnation, kafka_partition, kafka_offset);

CREATE INDEX analytics_dead_letters_topic_copy_idx ON public.analytics_dead_letters (id)
WHERE topic_copy = 'pending';

CREATE INDEX analytics_dead_letters_pending_idx ON public.analytics_dead_letters (created_at)
WHERE status = 'pending';

COMMENT ON TABLE public.analytics_dead_letters IS
'Messages that break a rule, original bytes included; written in the transaction that stores their neighbours.';
COMMENT ON COLUMN public.analytics_dead_letters.id IS 'Number of the dead letter.';
COMMENT ON COLUMN public.analytics_dead_letters.topic IS 'Topic the message came from.';
COMMENT ON COLUMN public.analytics_dead_letters.topic_incarnation IS 'Which incarnation of that topic.';
COMMENT ON COLUMN public.analytics_dead_letters.kafka_partition IS 'Partition the message came from.';
COMMENT ON COLUMN public.analytics_dead_letters.kafka_offset IS 'Offset of the message in its partition.';
COMMENT ON COLUMN public.analytics_dead_letters.reason IS
'Machine-readable reason, such as invalid_json or missing_field:service.';
COMMENT ON COLUMN public.analytics_dead_letters.detail IS 'The reason for people.';
COMMENT ON COLUMN public.analytics_dead_letters.raw_key IS 'Key of the message as it was; NULL: it had none.';
COMMENT ON COLUMN public.analytics_dead_letters.raw_value IS 'Value of the message as it was; NULL: a tombstone.';
COMMENT ON COLUMN public.analytics_dead_letters.status IS
'pending, replayed (stored after all) or discarded.';
COMMENT ON COLUMN public.analytics_dead_letters.retry_count IS 'How often storing or replaying it was tried again.';
COMMENT ON COLUMN public.analytics_dead_letters.topic_copy IS
'Its copy on the dead-letter topic: pending, sent, or refused by the broker.';
COMMENT ON COLUMN public.analytics_dead_letters.created_at IS 'When it was dead-lettered.';
