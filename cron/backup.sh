#!/usr/bin/env bash
# A compressed dump of the whole database, kept for 30 days. The dump is made by the server's own pg_dump.
#
# BACKUP_DIRECTORY        where dumps are kept (default /backups)
# BACKUP_DAYS             for how long (default 30)
# BACKUP_UPLOAD_COMMAND   run after each with the file's name, such as a copy to another place
#
# Each is taken from the environment, else from .env.prod.
set -euo pipefail
# shellcheck source=cron/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

directory=$(setting BACKUP_DIRECTORY /backups)
days=$(setting BACKUP_DAYS 30)
upload=$(setting BACKUP_UPLOAD_COMMAND "")
file=$directory/stacklens_$(date +%Y%m%d).sql.gz

# A dump that is cut short is not even called one.
dump() {
    # shellcheck disable=SC2016  # these variables are the container's
    compose exec -T postgres sh -c 'pg_dump -U "$DB_USER" -d "$DB_NAME"' | gzip >"$file.part"
    gzip -t "$file.part"
    zcat "$file.part" | tail -n 20 | grep 'PostgreSQL database dump complete' >/dev/null
    mv "$file.part" "$file"
}

# Tells the database that there is a backup: the alert about the age of the last one asks it.
note() { # file name, bytes
    # shellcheck disable=SC2016  # these variables are the container's
    compose exec -T postgres sh -c 'psql -X -q -v ON_ERROR_STOP=1 -U "$DB_USER" -d "$DB_NAME"' <<SQL
INSERT INTO public.backups_made (file_name, bytes) VALUES ('$1', $2)
ON CONFLICT (file_name) DO UPDATE SET finished_at = now(), bytes = excluded.bytes;
SQL
}

begin backup
umask 077
mkdir -p "$directory"
# The lock that `stacklens backup` takes too.
exec 8>>"$directory/.backup.lock"
if ! flock -n 8; then
    tell "no backup was made: another one into $directory is under way"
    exit 1
fi
say "backup: begins"
# In a shell of its own: `set -e` does not hold inside of a condition.
set +e
(set -euo pipefail; dump)
status=$?
set -e
if ((status)); then
    rm -f "$file.part"
    tell "the backup failed; see $LOGS/backup.log"
    exit 1
fi
bytes=$(stat -c %s "$file")
say "backup: $file, $bytes bytes"
if ! note "${file##*/}" "$bytes"; then
    status=1
    tell "the backup was made, but the database could not note it, so an alert about its age may be wrong; see $LOGS/backup.log"
fi

if [[ -n $upload ]] && ! bash -c "$upload \"\$1\"" upload "$file"; then
    tell "the backup was made but not uploaded; see $LOGS/backup.log"
    exit 1
fi
# Names with a time are those of `stacklens backup`; whatever else lies there is somebody's own.
find "$directory" -maxdepth 1 -type f -regextype posix-extended \
    -regex '.*/stacklens_[0-9]{8}(_[0-9]{6})?\.sql\.gz' -mtime "+$((days - 1))" -print -delete
say "backup: done"
exit "$status"
