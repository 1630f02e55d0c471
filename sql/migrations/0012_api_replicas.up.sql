-- What the API leaves in the database: how much its replicas have served, and the replays that people asked it for.
CREATE TABLE public.api_replicas (
    replica_id uuid PRIMARY KEY,
    host text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    workers integer NOT NULL,
    requests_served bigint NOT NULL,
    CONSTRAINT api_replicas_workers_check CHECK (workers >= 1),
    CONSTRAINT api_replicas_requests_served_check CHECK (requests_served >= 0)
);

COMMENT ON TABLE public.api_replicas IS
'Every replica of the API that there was, and what it has served; each writes its own row every few seconds. Is kept:'
' the sum over all rows never goes back.';
COMMENT ON COLUMN public.api_replicas.replica_id IS 'One start of the API; another start is another replica.';
COMMENT ON COLUMN public.api_replicas.host IS 'Name of the host that it runs on.';
COMMENT ON COLUMN public.api_replicas.started_at IS 'When it started.';
COMMENT ON COLUMN public.api_replicas.seen_at IS 'When it last wrote this row; long ago: it does not run any more.';
COMMENT ON COLUMN public.api_replicas.workers IS 'Its worker processes.';
COMMENT ON COLUMN public.api_replicas.requests_served IS 'Requests that all of them have answered so far.';

CREATE TABLE public.dead_letter_replays (
    dead_letter_id bigint PRIMARY KEY REFERENCES public.analytics_dead_letters (id) ON DELETE CASCADE,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    refused text
);

-- Those that wait to be sent.
CREATE INDEX dead_letter_replays_waiting_idx ON public.dead_letter_replays (dead_letter_id)
WHERE refused IS NULL;

COMMENT ON TABLE public.dead_letter_replays IS
'Dead letters that are to be sent to their topic once more; a worker sends them and removes the row.';
COMMENT ON COLUMN public.dead_letter_replays.dead_letter_id IS 'The dead letter.';
COMMENT ON COLUMN public.dead_letter_replays.requested_by IS 'Who asked for it.';
COMMENT ON COLUMN public.dead_letter_replays.requested_at IS 'When.';
COMMENT ON COLUMN public.dead_letter_replays.refused IS
'Why the broker did not take it; it is sent again when somebody asks for it again. NULL: it waits to be sent.';
