-- A dump that psql restores without timescaledb_pre_restore() can leave behind what TimescaleDB added a second time: if
-- the restoring session forgets what it knew of the tables (as it must when much is made and dropped elsewhere on the
-- server), it takes the tables for hypertables before they are complete, and hands their triggers and indexes on to the
-- chunks. A chunk with the trigger meant for the hypertable alone refuses every row; a second index costs time.
-- Every process that starts, and `stacklens migrate up`, looks and puts it right.

CREATE OR REPLACE FUNCTION stacklens.mend_plain_restore()
RETURNS text[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    mended text[] := ARRAY[]::text[];
    found record;
BEGIN
    FOR found IN
        SELECT format('%I.%I', chunk.schema_name, chunk.table_name) AS chunk_table
        FROM _timescaledb_catalog.chunk AS chunk
        INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = chunk.schema_name
        INNER JOIN pg_catalog.pg_class AS relation
            ON relation.relnamespace = namespace.oid AND relation.relname = chunk.table_name
        INNER JOIN pg_catalog.pg_trigger AS blocker ON blocker.tgrelid = relation.oid
        WHERE blocker.tgname = 'ts_insert_blocker'
        ORDER BY chunk.id
    LOOP
        EXECUTE format('DROP TRIGGER ts_insert_blocker ON %s', found.chunk_table);
        mended := mended || format('%s refused rows', found.chunk_table);
    END LOOP;
    FOR found IN
        SELECT
            format('%I.%I', chunk.schema_name, chunk.table_name) AS chunk_table,
            format('%I.%I', chunk.schema_name, second_name.relname) AS index_name
        FROM _timescaledb_catalog.chunk AS chunk
        INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = chunk.schema_name
        INNER JOIN pg_catalog.pg_class AS relation
            ON relation.relnamespace = namespace.oid AND relation.relname = chunk.table_name
        INNER JOIN pg_catalog.pg_index AS second_index ON second_index.indrelid = relation.oid
        INNER JOIN pg_catalog.pg_class AS second_name ON second_name.oid = second_index.indexrelid
        WHERE second_name.relname ~ '_[0-9]+$'
            AND NOT EXISTS (
                SELECT 1 FROM pg_catalog.pg_constraint AS held WHERE held.conindid = second_index.indexrelid
            )
            AND EXISTS (
                SELECT 1
                FROM pg_catalog.pg_index AS first_index
                WHERE first_index.indrelid = second_index.indrelid
                    AND first_index.indexrelid < second_index.indexrelid
                    AND first_index.indisvalid
                    AND first_index.indisunique = second_index.indisunique
                    AND first_index.indkey = second_index.indkey
                    AND first_index.indclass = second_index.indclass
                    AND first_index.indoption = second_index.indoption
                    AND first_index.indcollation = second_index.indcollation
                    AND pg_get_expr(first_index.indexprs, first_index.indrelid)
                    IS NOT DISTINCT FROM pg_get_expr(second_index.indexprs, second_index.indrelid)
                    AND pg_get_expr(first_index.indpred, first_index.indrelid)
                    IS NOT DISTINCT FROM pg_get_expr(second_index.indpred, second_index.indrelid)
            )
        ORDER BY chunk.id, second_name.relname
    LOOP
        EXECUTE format('DROP INDEX %s', found.index_name);
        mended := mended || format('%s had an index twice: %s', found.chunk_table, found.index_name);
    END LOOP;
    RETURN mended;
END
$$;

COMMENT ON FUNCTION stacklens.mend_plain_restore() IS
'Takes away what a restore by psql alone can leave on the chunks: the trigger that refuses rows, indexes made twice.'
' One line for each thing mended; empty where all is well. The owner of the tables runs it at each start.';
