DROP FUNCTION IF EXISTS public.analytics_archive_old_data();
DROP FUNCTION IF EXISTS stacklens.archive_lines(jsonb);
DROP FUNCTION IF EXISTS stacklens.archive_old_data();
DROP FUNCTION IF EXISTS stacklens.compress_old_chunks();
DROP FUNCTION IF EXISTS stacklens.archive_tier(text);
DROP FUNCTION IF EXISTS stacklens.delete_expired(timestamptz);
