DROP TABLE public.recalculation_queue;
