#!/usr/bin/env bash
# Tests of dist/ in Chromium (CHROMIUM says which): all, or those of the files below web/ that are named. With
# FSVAE_MODELS, a folder of the random models that tests/conformance.rs writes, their rows are checked, too; with SCREENSHOTS
# the page's pictures go to that folder.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e dist/fsvae.js ] || { echo "web/dist is missing: run web/build.sh first" >&2; exit 1; }
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund
[ $# -gt 0 ] || set -- test/*.test.mjs
exec node --test --test-concurrency=2 "$@"
