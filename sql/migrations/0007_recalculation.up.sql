-- Jobs that an operator asks for: what is to be computed anew, and how far that has come.
CREATE TABLE public.recalculation_queue (
    id bigserial PRIMARY KEY,
    job_type text NOT NULL CHECK (job_type IN ('RECALC_WINDOWS', 'RECALC_ALERTS', 'REFRESH_VIEWS')),
    service text COLLATE "C",
    from_time timestamptz,
    to_time timestamptz,
    reason text,
    requested_by text NOT NULL DEFAULT current_user,
    status text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED')),
    step text,
    position timestamptz,
    steps_done bigint NOT NULL DEFAULT 0,
    steps_total bigint,
    rows_written bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    claimed_by text,
    claimed_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT recalculation_queue_range_check CHECK (
        job_type = 'REFRESH_VIEWS' OR (from_time IS NOT NULL AND to_time IS NOT NULL AND from_time < to_time)
    )
);

CREATE INDEX recalculation_queue_open_idx ON public.recalculation_queue (id)
WHERE status IN ('PENDING', 'RUNNING');

COMMENT ON TABLE public.recalculation_queue IS
'Recalculations that were asked for. A job that was interrupted goes on at its position.';
COMMENT ON COLUMN public.recalculation_queue.id IS 'Number of the job; the oldest is done first.';
COMMENT ON COLUMN public.recalculation_queue.job_type IS
'RECALC_WINDOWS: windows from raw events; RECALC_ALERTS: alert states; REFRESH_VIEWS: the daily level.';
COMMENT ON COLUMN public.recalculation_queue.service IS 'The one service that it is about; NULL: every service.';
COMMENT ON COLUMN public.recalculation_queue.from_time IS 'Start of the range, inclusive.';
COMMENT ON COLUMN public.recalculation_queue.to_time IS 'End of the range, exclusive.';
COMMENT ON COLUMN public.recalculation_queue.reason IS 'Why it was asked for, for people.';
COMMENT ON COLUMN public.recalculation_queue.requested_by IS 'Who asked for it.';
COMMENT ON COLUMN public.recalculation_queue.status IS
'PENDING, RUNNING, COMPLETED, or FAILED with last_error.';
COMMENT ON COLUMN public.recalculation_queue.step IS 'Which part of the job is under way.';
COMMENT ON COLUMN public.recalculation_queue.position IS 'Everything of the step before it is done and committed.';
COMMENT ON COLUMN public.recalculation_queue.steps_done IS 'Batches done.';
COMMENT ON COLUMN public.recalculation_queue.steps_total IS 'Batches in all; NULL until it is known.';
COMMENT ON COLUMN public.recalculation_queue.rows_written IS 'Rows written anew.';
COMMENT ON COLUMN public.recalculation_queue.attempts IS 'How often a process began or went on with it.';
COMMENT ON COLUMN public.recalculation_queue.last_error IS 'What went wrong last.';
COMMENT ON COLUMN public.recalculation_queue.claimed_by IS 'The process that works on it.';
COMMENT ON COLUMN public.recalculation_queue.claimed_until IS
'Renewed with each batch; afterwards another process may go on with it.';
COMMENT ON COLUMN public.recalculation_queue.created_at IS 'When it was asked for.';
COMMENT ON COLUMN public.recalculation_queue.started_at IS 'When it was first begun.';
COMMENT ON COLUMN public.recalculation_queue.finished_at IS 'When it was completed or failed.';
