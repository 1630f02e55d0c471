-- Which backups were made, so that one that is missing is noticed.
CREATE TABLE public.backups_made (
    file_name text PRIMARY KEY,
    finished_at timestamptz NOT NULL DEFAULT now(),
    bytes bigint NOT NULL,
    CONSTRAINT backups_made_bytes_check CHECK (bytes > 0)
);

COMMENT ON TABLE public.backups_made IS
'Backups of this database, each noted by whoever made it when its file was whole. A backup does not hold its own row.'
' Cold tier; the newest is kept.';
COMMENT ON COLUMN public.backups_made.file_name IS
'Name of the file, without its directory; made again under the same name it is the same row.';
COMMENT ON COLUMN public.backups_made.finished_at IS 'When the file was whole.';
COMMENT ON COLUMN public.backups_made.bytes IS 'Its size, compressed.';
