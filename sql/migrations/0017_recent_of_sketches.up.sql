-- The sketches of a live window are some 2 KB each and were written anew with every flush, for a few users more.
-- Now those few are written beside a sketch that stays as it is, until they are too many.

ALTER TABLE public.analytics_metrics_1min
ADD COLUMN users_recent bytea,
ADD COLUMN ips_recent bytea;
COMMENT ON COLUMN public.analytics_metrics_1min.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12), but for those that came since; NULL when'
' there are none.';
COMMENT ON COLUMN public.analytics_metrics_1min.users_recent IS
'State: HyperLogLog of the users that users_sketch may lack: the union of both is the state. NULL: it lacks none.';
COMMENT ON COLUMN public.analytics_metrics_1min.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1min.ips_recent IS
'State: HyperLogLog of the source addresses that ips_sketch may lack, likewise.';
COMMENT ON COLUMN public.analytics_metrics_1min.unique_users IS
'Distinct users, estimated from users_sketch and users_recent; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1min.unique_ips IS
'Distinct source addresses, estimated from ips_sketch and ips_recent; never to be added up over rows.';

ALTER TABLE public.analytics_metrics_5min
ADD COLUMN users_recent bytea,
ADD COLUMN ips_recent bytea;
COMMENT ON COLUMN public.analytics_metrics_5min.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12), but for those that came since; NULL when'
' there are none.';
COMMENT ON COLUMN public.analytics_metrics_5min.users_recent IS
'State: HyperLogLog of the users that users_sketch may lack: the union of both is the state. NULL: it lacks none.';
COMMENT ON COLUMN public.analytics_metrics_5min.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_5min.ips_recent IS
'State: HyperLogLog of the source addresses that ips_sketch may lack, likewise.';
COMMENT ON COLUMN public.analytics_metrics_5min.unique_users IS
'Distinct users, estimated from users_sketch and users_recent; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_5min.unique_ips IS
'Distinct source addresses, estimated from ips_sketch and ips_recent; never to be added up over rows.';

ALTER TABLE public.analytics_metrics_1hour
ADD COLUMN users_recent bytea,
ADD COLUMN ips_recent bytea;
COMMENT ON COLUMN public.analytics_metrics_1hour.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12), but for those that came since; NULL when'
' there are none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.users_recent IS
'State: HyperLogLog of the users that users_sketch may lack: the union of both is the state. NULL: it lacks none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.ips_recent IS
'State: HyperLogLog of the source addresses that ips_sketch may lack, likewise.';
COMMENT ON COLUMN public.analytics_metrics_1hour.unique_users IS
'Distinct users, estimated from users_sketch and users_recent; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1hour.unique_ips IS
'Distinct source addresses, estimated from ips_sketch and ips_recent; never to be added up over rows.';

ALTER TABLE public.analytics_metrics_1day
ADD COLUMN users_recent bytea,
ADD COLUMN ips_recent bytea;
COMMENT ON COLUMN public.analytics_metrics_1day.users_recent IS
'As in the tables of windows, which this is read together with; always NULL, for days are written whole.';
COMMENT ON COLUMN public.analytics_metrics_1day.ips_recent IS 'Likewise; always NULL.';
