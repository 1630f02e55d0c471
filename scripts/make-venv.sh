#!/usr/bin/env bash
# make-venv.sh PYTHON DIRECTORY: a virtual environment, or one line saying what is missing.
set -euo pipefail

python=$1
directory=$2

if [[ -x $directory/bin/python ]] && "$directory/bin/python" -c 'import pip' 2>/dev/null; then
    exit 0
fi
if ! command -v "$python" >/dev/null; then
    echo "setup: $python is missing: apt-get install -y python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: Python 3.11 or newer is needed, $python is $("$python" -V); name one: make PYTHON=python3.11 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "setup: $python cannot make virtual environments: apt-get install -y python3-venv" >&2
    exit 1
fi
echo "setup: making $directory with $("$python" -V)"
"$python" -m venv --clear "$directory"
