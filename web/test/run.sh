#!/usr/bin/env bash
# Tests of dist/ in Chromium (CHROMIUM says which): all, or those of the files below web/ that are named. With
# FSVAE_MODELS, a folder of the random models that tests/conformance.rs writes, their rows are checked, too; with SCREENSHOTS
# the page's pictures go to that folder.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e dist/fsvae.js ] || { echo "web/dist is missing: run web/build.sh first" >&2; exit 1; }
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund
[ $# -gt 0 ] || set -- test/*.test.mjs

# A file's words at once, and how long it took.
one() {
    local said code=0
    said=$(node --test --test-reporter=spec "$1" 2>&1) || code=$?
    printf '%s\n== %s: %s s\n' "$said" "$1" "$SECONDS"
    return $code
}
export -f one
printf '%s\0' "$@" | xargs -0 -n 1 -P 2 bash -c 'one "$1"' _
