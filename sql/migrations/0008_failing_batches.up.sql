-- Batches that failed for their own sake, so that a restart does not begin to count anew.
CREATE TABLE public.failing_batches (
    topic text NOT NULL,
    topic_incarnation integer NOT NULL,
    kafka_partition integer NOT NULL,
    first_offset bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 1 CHECK (attempts >= 1),
    last_error text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, topic_incarnation, kafka_partition, first_offset)
);

COMMENT ON TABLE public.failing_batches IS
'Where a batch begins that could not be stored, and how often that was tried. After 3 attempts it is split until the'
' culprit is found, which becomes a dead letter. Rows go away with the batch that is stored.';
COMMENT ON COLUMN public.failing_batches.topic IS 'Name of the topic.';
COMMENT ON COLUMN public.failing_batches.topic_incarnation IS 'Which incarnation of the topic.';
COMMENT ON COLUMN public.failing_batches.kafka_partition IS 'Number of the partition.';
COMMENT ON COLUMN public.failing_batches.first_offset IS 'First offset of the batch in that partition.';
COMMENT ON COLUMN public.failing_batches.attempts IS 'How often storing it failed.';
COMMENT ON COLUMN public.failing_batches.last_error IS 'What went wrong last.';
COMMENT ON COLUMN public.failing_batches.updated_at IS 'When it failed last.';
