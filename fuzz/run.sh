#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: writes the corpora, then fuzzes each target so long (all of them, two at a time);
# fuzz/run.sh build: does neither.
# Stable Rust will do: libFuzzer comes with a crate, and the compiler's coverage pass needs no other toolchain.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?expected seconds}; shift
targets=("$@"); [ $# -gt 0 ] || targets=(arguments checkpoint compare latents picture)
host=$(rustc -vV | sed -n 's/^host: //p')
pass="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
pass="$pass -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS="--cfg fuzzing $pass" RAYON_NUM_THREADS=1
# With a target named, the flags do not reach build scripts and macros.
cargo build --release --locked --target "$host"
[ "$seconds" != build ] || exit 0
bin=${CARGO_TARGET_DIR:-target}/$host/release
mkdir -p corpus artifacts
"$bin/corpus" corpus
# libFuzzer would cut what is longer, and a zip without its end is none.
largest=40000
cut=$(find corpus -type f -size "+${largest}c")
[ -z "$cut" ] || { echo "fuzz: more than $largest bytes: $cut"; exit 1; }
fuzz() {
    mkdir -p "corpus/$1"
    "$bin/$1" "corpus/$1" -max_total_time="$seconds" -artifact_prefix="artifacts/$1-" -max_len="$largest" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 >"artifacts/$1.log" 2>&1 ||
        { tail -n 40 "artifacts/$1.log"; echo "fuzz: $1 failed; the input is in fuzz/artifacts/"; return 1; }
    echo "fuzz: $1: $(sed -n 's/stat::number_of_executed_units: *//p' "artifacts/$1.log") executions, nothing found"
}
export -f fuzz; export bin seconds largest
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'fuzz {}'
