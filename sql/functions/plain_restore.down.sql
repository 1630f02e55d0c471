DROP FUNCTION IF EXISTS stacklens.mend_plain_restore();
