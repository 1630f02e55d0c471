-- What the sketches of rows lacked, up to 130 users and addresses a row, is lost: figures stay as they are until the
-- next event of the row; figures over ranges of rows lack them. `stacklens recalculate` makes rows anew of raw events.

ALTER TABLE public.analytics_metrics_1min
DROP COLUMN users_recent,
DROP COLUMN ips_recent;
COMMENT ON COLUMN public.analytics_metrics_1min.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1min.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1min.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1min.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';

ALTER TABLE public.analytics_metrics_5min
DROP COLUMN users_recent,
DROP COLUMN ips_recent;
COMMENT ON COLUMN public.analytics_metrics_5min.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_5min.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_5min.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_5min.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';

ALTER TABLE public.analytics_metrics_1hour
DROP COLUMN users_recent,
DROP COLUMN ips_recent;
COMMENT ON COLUMN public.analytics_metrics_1hour.users_sketch IS
'State: HyperLogLog of the users (Apache DataSketches, lg_k 12); NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.ips_sketch IS
'State: HyperLogLog of the source addresses, likewise; NULL when there are none.';
COMMENT ON COLUMN public.analytics_metrics_1hour.unique_users IS
'Distinct users, estimated from users_sketch; never to be added up over rows.';
COMMENT ON COLUMN public.analytics_metrics_1hour.unique_ips IS
'Distinct source addresses, estimated from ips_sketch; never to be added up over rows.';

ALTER TABLE public.analytics_metrics_1day
DROP COLUMN users_recent,
DROP COLUMN ips_recent;
