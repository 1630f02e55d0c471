#!/usr/bin/env bash
# Drops what the retention tiers keep no longer. Safe at any time, and under load.
set -euo pipefail
# shellcheck source=cron/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

begin archive
say "archive: begins"
# shellcheck disable=SC2016  # these variables are the container's
if compose exec -T postgres sh -c \
    'psql -v ON_ERROR_STOP=1 -U "$DB_USER" -d "$DB_NAME" -c "SELECT analytics_archive_old_data();"'; then
    say "archive: done"
else
    tell "archiving old data failed; see $LOGS/archive.log"
    exit 1
fi
