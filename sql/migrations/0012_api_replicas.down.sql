DROP TABLE public.dead_letter_replays;
DROP TABLE public.api_replicas;
