#!/usr/bin/env bash
# fsvae against ONNX Runtime Web in one page: bash web/peers/run.sh [MODEL [BATCH [ROUNDS]]], after web/build.sh. PYTHON has what
# benches/peers/requirements.txt names; ONNX Runtime Web is loaded by its pinned version.
set -euo pipefail
cd "$(dirname "$0")"
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund --ignore-scripts
mkdir -p made
model=${1:-faces} batch=${2:-16}
[ -e "made/$model-$batch.onnx" ] || "${PYTHON:-python3}" export.py "../dist/models/$model.safetensors" "$batch" "made/$model-$batch.onnx"
exec node run.mjs "$@"
