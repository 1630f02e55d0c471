-- The rules to begin with. May be run again: what is there stays as it is.
--
--   psql "$DATABASE" -f sql/seeds/alert_rules.sql

INSERT INTO analytics_alert_rules (
    rule_name, metric_name, operator, threshold, severity, notification_channels, enabled
) VALUES
('High Error Rate', 'error_rate', '>', 5.0, 'warning', ARRAY['slack', 'email'], TRUE),
('Critical Error Rate', 'error_rate', '>', 20.0, 'critical', ARRAY['slack', 'email', 'pagerduty'], TRUE),
('High P99 Latency', 'latency_p99_ms', '>', 500, 'warning', ARRAY['slack', 'email'], TRUE),
('Critical P99 Latency', 'latency_p99_ms', '>', 1000, 'critical', ARRAY['slack', 'email', 'pagerduty'], TRUE)
ON CONFLICT DO NOTHING;
