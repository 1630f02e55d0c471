#!/usr/bin/env bash
# help.sh MAKEFILE: every target with the text after its `##`.
set -euo pipefail

echo "usage: make TARGET"
echo
sed -n 's/^\([a-z-]*\):.*## \(.*\)$/\1|\2/p' "$1" | while IFS='|' read -r target text; do
    printf '  %-12s %s\n' "$target" "$text"
done
