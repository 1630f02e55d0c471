-- The extension stays: it may have been there before, and other tables of this database may need it. So do the roles.
DROP TYPE stacklens.latency_histogram;
DROP SCHEMA stacklens;
