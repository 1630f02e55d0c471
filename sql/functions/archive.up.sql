-- Retention: drops what is older than its tier keeps. Never depends on TimescaleDB's community features.
--
--   SELECT analytics_archive_old_data();
--
-- Locks. Flushes hold retention_tiers in ROW SHARE mode while they write; archiving takes it in EXCLUSIVE mode before
-- it looks at the limits, so that no flush is under way that read the old ones, and drops in the order that everybody
-- locks the window tables in: 1min, 5min, 1hour, 1day. A reader may be looking at a chunk that is to be dropped:
-- waiting long for it would hold up the flushes, so the attempt is given up after a moment, all its locks are let go,
-- and it is made again.

CREATE OR REPLACE FUNCTION stacklens.delete_expired(before timestamptz)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $$
-- Rows that somebody else holds are left for the next time.
DECLARE
    alerts CONSTANT bigint[] := ARRAY(
        SELECT held.id FROM public.analytics_alerts AS held
        WHERE held.status = 'resolved' AND held.resolved_at < before
        ORDER BY held.id
        FOR UPDATE SKIP LOCKED
    );
    history_rows bigint;
    alert_rows bigint;
    letter_rows bigint;
    job_rows bigint;
    outbox_rows bigint;
    episode_rows bigint;
    silence_rows bigint;
    backup_rows bigint;
BEGIN
    DELETE FROM public.alert_outbox AS message WHERE message.sent_at < before;
    GET DIAGNOSTICS outbox_rows = ROW_COUNT;
    DELETE FROM public.analytics_alert_history AS trail WHERE trail.alert_id = ANY (alerts);
    GET DIAGNOSTICS history_rows = ROW_COUNT;
    DELETE FROM public.analytics_alerts AS alert WHERE alert.id = ANY (alerts);
    GET DIAGNOSTICS alert_rows = ROW_COUNT;
    DELETE FROM public.analytics_dead_letters AS letter
    WHERE letter.id IN (
        SELECT held.id FROM public.analytics_dead_letters AS held
        WHERE held.status <> 'pending' AND held.topic_copy <> 'pending' AND held.created_at < before
        ORDER BY held.id
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS letter_rows = ROW_COUNT;
    DELETE FROM public.recalculation_queue AS job
    WHERE job.id IN (
        SELECT held.id FROM public.recalculation_queue AS held
        WHERE held.status = 'COMPLETED' AND held.finished_at < before
        ORDER BY held.id
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS job_rows = ROW_COUNT;
    -- The deliveries of an episode go with it.
    DELETE FROM public.notified_episodes AS episode
    WHERE episode.status = 'resolved' AND episode.settled_at IS NOT NULL AND episode.changed_at < before;
    GET DIAGNOSTICS episode_rows = ROW_COUNT;
    DELETE FROM public.alert_silences AS silence WHERE silence.ends_at < before;
    GET DIAGNOSTICS silence_rows = ROW_COUNT;
    -- Never the newest: its age is what is looked at.
    DELETE FROM public.backups_made AS made
    WHERE made.finished_at < before
        AND made.finished_at < (SELECT max(newest.finished_at) FROM public.backups_made AS newest);
    GET DIAGNOSTICS backup_rows = ROW_COUNT;
    RETURN jsonb_build_array(
        jsonb_build_object('relation', 'analytics_alerts', 'unit', 'rows', 'count', alert_rows),
        jsonb_build_object('relation', 'analytics_alert_history', 'unit', 'rows', 'count', history_rows),
        jsonb_build_object('relation', 'analytics_dead_letters', 'unit', 'rows', 'count', letter_rows),
        jsonb_build_object('relation', 'recalculation_queue', 'unit', 'rows', 'count', job_rows),
        jsonb_build_object('relation', 'alert_outbox', 'unit', 'rows', 'count', outbox_rows),
        jsonb_build_object('relation', 'notified_episodes', 'unit', 'rows', 'count', episode_rows),
        jsonb_build_object('relation', 'alert_silences', 'unit', 'rows', 'count', silence_rows),
        jsonb_build_object('relation', 'backups_made', 'unit', 'rows', 'count', backup_rows)
    );
END
$$;

COMMENT ON FUNCTION stacklens.delete_expired(timestamptz) IS
'Deletes alerts resolved before a moment with their history, alert messages sent before it, dead letters settled and'
' made before it, completed recalculations, what was told of episodes that were over before it, silences that ended'
' before it, and notes of backups finished before it but the newest; returns what went as JSON. The history of an alert'
' that is still there stays with it.';


CREATE OR REPLACE FUNCTION stacklens.archive_tier(wanted text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
AS $$
-- To be called with retention_tiers locked.
DECLARE
    relations CONSTANT text[] := (CASE wanted
        WHEN 'hot' THEN ARRAY['analytics_events']
        WHEN 'warm' THEN ARRAY['analytics_metrics_1min']
        WHEN 'cold' THEN ARRAY['analytics_metrics_5min', 'analytics_metrics_1hour']
    END);
    day_start CONSTANT timestamptz := date_trunc('day', now(), 'UTC');
    -- Of 24 hours each: a day of the session's zone may have 23.
    age_limit CONSTANT timestamptz := day_start - stacklens.retention_days(wanted) * interval '24 hours';
    stored timestamptz;
    relation text;
    amount bigint;
    dropped jsonb := '[]';
BEGIN
    UPDATE public.retention_tiers AS held SET archived_before = greatest(held.archived_before, age_limit)
    WHERE held.tier = wanted
    RETURNING held.archived_before INTO STRICT stored;
    FOREACH relation IN ARRAY relations LOOP
        SELECT count(*) INTO amount
        FROM drop_chunks(format('public.%I', relation)::regclass, older_than => stored);
        dropped := dropped || jsonb_build_object('relation', relation, 'unit', 'chunks', 'count', amount);
        -- Chunks end with a day, unless somebody has set another interval: then one of them lies across the limit.
        IF EXISTS (
            SELECT FROM timescaledb_information.chunks AS c
            WHERE c.hypertable_schema = 'public' AND c.hypertable_name = relation AND c.range_start < stored
        ) THEN
            EXECUTE format('DELETE FROM public.%I WHERE timestamp < $1', relation) USING stored;
            GET DIAGNOSTICS amount = ROW_COUNT;
            dropped := dropped || jsonb_build_object('relation', relation, 'unit', 'rows', 'count', amount);
        END IF;
    END LOOP;
    IF wanted = 'cold' THEN
        DELETE FROM public.analytics_metrics_1day AS day WHERE day.timestamp < stored;
        GET DIAGNOSTICS amount = ROW_COUNT;
        dropped := dropped
            || jsonb_build_object('relation', 'analytics_metrics_1day', 'unit', 'rows', 'count', amount);
    END IF;
    RETURN jsonb_build_object('tier', wanted, 'archived_before', stored, 'dropped', dropped);
END
$$;

COMMENT ON FUNCTION stacklens.archive_tier(text) IS
'Drops the chunks of tier hot, warm or cold that are older than it keeps, to the start of a UTC day, and advances its'
' archived_before, which never goes back. The caller holds retention_tiers in EXCLUSIVE mode.';


CREATE OR REPLACE FUNCTION stacklens.compress_old_chunks()
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
AS $$
-- Behind the age limit nothing is written any more. A few chunks each time: flushes wait meanwhile.
DECLARE
    most_chunks CONSTANT integer := 8;
    license CONSTANT text := coalesce(current_setting('timescaledb.license', true), 'unknown');
    age_limit CONSTANT timestamptz := date_trunc('day', now(), 'UTC')
        - stacklens.setting_number('max_event_age_days', 7) * interval '24 hours';
    chunk regclass;
    relation regclass;
    compressed bigint := 0;
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.system_config AS c WHERE c.key = 'enable_compression' AND lower(c.value) = 'true'
    ) THEN
        RETURN jsonb_build_object('state', 'off', 'chunks', 0);
    END IF;
    IF license <> 'timescale' THEN
        RETURN jsonb_build_object(
            'state', format('skipped, the licence is %s and compression needs timescale', license),
            'chunks', 0
        );
    END IF;
    FOR chunk, relation IN
        SELECT
            format('%I.%I', c.chunk_schema, c.chunk_name)::regclass,
            format('%I.%I', c.hypertable_schema, c.hypertable_name)::regclass
        FROM timescaledb_information.chunks AS c
        WHERE c.hypertable_schema = 'public'
            AND c.hypertable_name IN (
                'analytics_events', 'analytics_metrics_1min', 'analytics_metrics_5min', 'analytics_metrics_1hour'
            )
            AND NOT c.is_compressed
            AND c.range_end <= age_limit
        ORDER BY c.range_start, c.hypertable_name
        LIMIT most_chunks
    LOOP
        IF NOT EXISTS (
            SELECT FROM timescaledb_information.hypertables AS h
            WHERE format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass = relation
                AND h.compression_enabled
        ) THEN
            EXECUTE format(
                'ALTER TABLE %s SET (timescaledb.compress, timescaledb.compress_segmentby = ''service'','
                ' timescaledb.compress_orderby = ''timestamp'')',
                relation
            );
        END IF;
        EXECUTE 'SELECT compress_chunk($1)' USING chunk;
        compressed := compressed + 1;
    END LOOP;
    RETURN jsonb_build_object('state', 'on', 'chunks', compressed);
END
$$;

COMMENT ON FUNCTION stacklens.compress_old_chunks() IS
'Compresses a few of the chunks behind MAX_EVENT_AGE_DAYS; only with ENABLE_COMPRESSION and under the timescale'
' licence, otherwise says why not.';


CREATE OR REPLACE FUNCTION stacklens.archive_old_data()
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
SET lock_timeout = '4s'
AS $$
DECLARE
    most_attempts CONSTANT integer := 12;
    cold_limit CONSTANT timestamptz := date_trunc('day', now(), 'UTC')
        - stacklens.retention_days('cold') * interval '24 hours';
    -- These rows are nobody's any more: they need no lock on the tiers.
    expired CONSTANT jsonb := stacklens.delete_expired(cold_limit);
    hot jsonb;
    warm jsonb;
    cold jsonb;
    compression jsonb;
BEGIN
    FOR attempt IN 1..most_attempts LOOP
        <<undisturbed>>
        BEGIN
            PERFORM set_config('lock_timeout', '4s', true);
            LOCK TABLE public.retention_tiers IN EXCLUSIVE MODE;
            -- Short at first; later longer than deadlock_timeout, after which an autovacuum in the way is ended.
            PERFORM set_config('lock_timeout', least(300 * attempt, 2500)::text, true);
            hot := stacklens.archive_tier('hot');
            warm := stacklens.archive_tier('warm');
            cold := stacklens.archive_tier('cold');
            compression := stacklens.compress_old_chunks();
            EXIT;
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                IF attempt = most_attempts THEN
                    RAISE EXCEPTION 'archiving was held up % times by others: %', most_attempts, sqlerrm
                        USING ERRCODE = 'lock_not_available',
                            HINT = 'Nothing was dropped. Look for long transactions in pg_stat_activity.';
                END IF;
        END undisturbed;
        PERFORM pg_sleep(0.2);
    END LOOP;
    RETURN jsonb_build_object(
        'tiers', jsonb_build_array(hot, warm, jsonb_set(cold, '{dropped}', (cold -> 'dropped') || expired)),
        'compression', compression
    );
END
$$;

COMMENT ON FUNCTION stacklens.archive_old_data() IS
'What analytics_archive_old_data() does, reported as JSON: {tiers: [{tier, archived_before, dropped: [{relation, unit,'
' count}]}], compression: {state, chunks}}.';


CREATE OR REPLACE FUNCTION stacklens.archive_lines(report jsonb)
RETURNS SETOF text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT line
    FROM (
        SELECT
            tiers.place,
            format(
                '%s tier, all before %s UTC: %s',
                tiers.tier ->> 'tier',
                to_char((tiers.tier ->> 'archived_before')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
                coalesce(
                    (
                        SELECT string_agg(
                            format(
                                '%s %s of %s',
                                part ->> 'count',
                                CASE part ->> 'count'
                                    WHEN '1' THEN rtrim(part ->> 'unit', 's') ELSE part ->> 'unit'
                                END,
                                part ->> 'relation'
                            ),
                            ', '
                            ORDER BY parts.place
                        )
                        FROM jsonb_array_elements(tiers.tier -> 'dropped') WITH ORDINALITY AS parts (part, place)
                        WHERE part ->> 'count' <> '0'
                    ) || ' dropped',
                    'nothing to drop'
                )
            ) AS line
        FROM jsonb_array_elements(report -> 'tiers') WITH ORDINALITY AS tiers (tier, place)
        UNION ALL
        SELECT
            1000,
            format(
                'compression: %s%s',
                report #>> '{compression,state}',
                CASE WHEN report #>> '{compression,state}' = 'on'
                    THEN format(', %s chunk(s) compressed', report #>> '{compression,chunks}')
                    ELSE ''
                END
            )
    ) AS lines
    ORDER BY place
$$;

COMMENT ON FUNCTION stacklens.archive_lines(jsonb) IS
'The report of stacklens.archive_old_data() for people: a line for each tier, and one about compression.';


CREATE OR REPLACE FUNCTION public.analytics_archive_old_data()
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    report CONSTANT jsonb := stacklens.archive_old_data();
BEGIN
    RETURN QUERY SELECT stacklens.archive_lines(report);
END
$$;

COMMENT ON FUNCTION public.analytics_archive_old_data() IS
'Drops what each retention tier keeps no longer, and says what: a line for each tier. Days to keep are RETENTION_HOT,'
' _WARM and _COLD in system_config. Safe to run at any time, twice, or twice at once; for the owner and'
' stacklens_admin.';

-- It runs with the owner''s rights, which dropping chunks takes.
REVOKE EXECUTE ON FUNCTION stacklens.delete_expired(timestamptz) FROM public;
REVOKE EXECUTE ON FUNCTION stacklens.archive_tier(text) FROM public;
REVOKE EXECUTE ON FUNCTION stacklens.compress_old_chunks() FROM public;
REVOKE EXECUTE ON FUNCTION stacklens.archive_old_data() FROM public;
REVOKE EXECUTE ON FUNCTION public.analytics_archive_old_data() FROM public;
GRANT EXECUTE ON FUNCTION public.analytics_archive_old_data() TO stacklens_admin;
