-- What SQL functions need to know of the configuration, and from when on each tier is whole.
CREATE TABLE public.system_config (
    key text PRIMARY KEY,
    value text NOT NULL,
    description text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE public.system_config IS
'Effective settings without secrets, written by the analytics service at start; SQL functions read only from here.';
COMMENT ON COLUMN public.system_config.key IS 'Name of the setting.';
COMMENT ON COLUMN public.system_config.value IS 'Its value as text.';
COMMENT ON COLUMN public.system_config.description IS 'What the setting is for.';
COMMENT ON COLUMN public.system_config.updated_at IS 'When the row was last written.';

CREATE TABLE public.retention_tiers (
    tier text PRIMARY KEY CHECK (tier IN ('hot', 'warm', 'cold')),
    archived_before timestamptz NOT NULL DEFAULT '-infinity'
);

COMMENT ON TABLE public.retention_tiers IS
'hot: raw events; warm: 1min windows; cold: 5min and 1hour windows. Archiving excludes flushes by a lock on it.';
COMMENT ON COLUMN public.retention_tiers.tier IS 'hot, warm or cold.';
COMMENT ON COLUMN public.retention_tiers.archived_before IS
'Everything before it is dropped, and nothing before it is written any more.';

INSERT INTO public.retention_tiers (tier) VALUES ('hot'), ('warm'), ('cold');
