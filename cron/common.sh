# Shared by the jobs of cron; sourced, not run. One run of a job at a time, and a log with times in it.
# shellcheck shell=bash
#
# STACKLENS_LOGS: where logs go (default: logs/cron of the checkout).

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LOGS=${STACKLENS_LOGS:-$PWD/logs/cron}

# From here on everything that is printed goes to the job's log, and a second run of it ends at once.
begin() { # job
    mkdir -p "$LOGS"
    exec 9>"$LOGS/$1.lock"
    exec >>"$LOGS/$1.log" 2>&1
    if ! flock -n 9; then
        say "the last run is still going on: nothing done"
        exit 0
    fi
}

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

# A setting: of the environment, else of .env.prod, else the default. The file is read and never run: what stands there
# is a value, in quotes or not, and no command.
setting() { # name, default
    local value=${!1:-}
    if [[ -z $value && -r .env.prod ]]; then
        value=$(sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*//p" .env.prod | tail -n 1)
        case $value in
        \"*\"*) value=${value#\"} value=${value%%\"*} ;;
        \'*\'*) value=${value#\'} value=${value%%\'*} ;;
        *) value=$(sed -E 's/[[:space:]]+(#.*)?$//' <<<"$value") ;;
        esac
    fi
    printf '%s' "${value:-$2}"
}

compose() { docker-compose -f docker-compose-phase4.yml "$@"; }

# Tells people, through the notify_alert on PATH, or the one beside this file; in the log it is in any case.
tell() { # text
    local program
    say "ALERT: $*"
    program=$(command -v notify_alert || echo "$PWD/cron/notify_alert")
    "$program" "$*" </dev/null || say "notify_alert failed: perhaps nobody was told"
}
