DROP TABLE public.analytics_dead_letters;
DROP TABLE public.kafka_offsets;
DROP TABLE public.topic_incarnations;
