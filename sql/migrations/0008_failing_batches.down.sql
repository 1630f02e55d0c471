DROP TABLE public.failing_batches;
