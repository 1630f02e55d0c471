DROP FUNCTION IF EXISTS stacklens.service_totals(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS stacklens.window_rows(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS stacklens.range_bounds(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS stacklens.next_start(interval, timestamptz);
DROP FUNCTION IF EXISTS stacklens.start_of(interval, timestamptz);
