#!/usr/bin/env bash
# Is the product well? Tells people when it is not, every time that it is asked.
#
# STACKLENS_URL   default http://localhost:8005
set -euo pipefail
# shellcheck source=cron/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

url=${STACKLENS_URL:-http://localhost:8005}
begin health-check
answer=$(curl -s --max-time 10 "$url/health" || true)
# What it prints is compared, not its exit status: with nothing to read, `jq -e` of Debian 12 is content.
if [[ $(jq -r '.status' 2>/dev/null <<<"$answer") == healthy ]]; then
    say "healthy"
else
    tell "StackLens at $url is not healthy: ${answer:-no answer}"
    exit 1
fi
