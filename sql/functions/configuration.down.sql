DROP FUNCTION IF EXISTS stacklens.keeps_window(text);
DROP FUNCTION IF EXISTS stacklens.retention_days(text);
DROP FUNCTION IF EXISTS stacklens.setting_number(text, double precision);
