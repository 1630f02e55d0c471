DROP TABLE public.backups_made;
