#!/usr/bin/env bash
# Makes dist/: the module with its models, ready for `npm pack`, and the page, ready for any static host. Builds of the module
# that are named are made alone: tests need not all.
# Wants Rust, Node.js and gzip; installs the rest by pinned version, below node_modules/ and
# ~/.cache/fsvae-tools.
set -euo pipefail
cd "$(dirname "$0")"

LARGEST=250000 # bytes of a module, gzipped
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
tools=${XDG_CACHE_HOME:-$HOME/.cache}/fsvae-tools

rustup target add wasm32-unknown-unknown >/dev/null 2>&1 || true # a toolchain without rustup may have it

# The program that makes the JavaScript, of the library's version.
version=$(sed -n 's/^wasm-bindgen = "=\(.*\)"$/\1/p' Cargo.toml)
bindgen=$tools/bin/wasm-bindgen
if [ "$("$bindgen" --version 2>/dev/null)" != "wasm-bindgen $version" ]; then
    # It is built for longer than it runs.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR=$tools/build \
        cargo install --quiet wasm-bindgen-cli --version "$version" --bin wasm-bindgen --root "$tools"
    rm -rf "$tools/build"
fi
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund

rm -rf dist
mkdir -p dist/models
[ $# -gt 0 ] || set -- simd plain simd-verify plain-verify simd-bench compare
SECONDS=0
large=()
for build in "$@"; do
    # Small, but for what the layers are made of: their short loops are unrolled, and inlined.
    rustflags='"-Cllvm-args=-unroll-threshold=150 -unroll-runtime=false -unroll-allow-partial=false -inline-threshold=25"'
    [ ${build%%-*} != simd ] || rustflags+=', "-Ctarget-feature=+simd128"'
    flags=(--config "target.wasm32-unknown-unknown.rustflags=[$rustflags]")
    case $build in *-verify|*-bench|compare) flags+=(--features "${build#*-}");; esac
    cargo build --release --locked --target wasm32-unknown-unknown "${flags[@]}"
    "$bindgen" --target web --no-typescript --out-dir dist/$build --out-name bindings \
        "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/fsvae_web.wasm"
    wasm=dist/$build/bindings_bg.wasm
    features=(--enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals
        --enable-reference-types --enable-multivalue)
    [ ${build%%-*} != simd ] || features+=(--enable-simd)
    node_modules/.bin/wasm-opt -O1 --dae-optimizing -O1 --rse --vacuum --strip-debug --strip-producers "${features[@]}" $wasm -o $wasm
    bytes=$(gzip -9 -c $wasm | wc -c)
    echo "$build: $(wc -c <$wasm) bytes, $bytes gzipped, made in $SECONDS s"
    SECONDS=0
    # All is made before this is an error: what is too large still works.
    if [ "$bytes" -gt $LARGEST ]; then
        large+=("$wasm: $bytes bytes gzipped, expected at most $LARGEST")
    fi
done

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' ../Cargo.toml | head -n 1)
sed "s/VERSION/$version/" module/package.json >dist/package.json
cp module/fsvae.js module/fsvae.d.ts ../LICENSE-MIT ../LICENSE-APACHE dist/
for model in ../assets/*/*.safetensors; do
    cp "$model" dist/models/
done
cp module/README.md dist/
# Records of the command line, of one model each, and what they are called.
mkdir dist/records
for record in $(grep -l '"schema": "fsvae-bench"' ../benches/record/*.json); do
    cp "$record" dist/records/
done
(cd dist/records && node -e '
    const { readdirSync, readFileSync, writeFileSync } = require("node:fs");
    const records = readdirSync(".").map((file) => ({ file, model: JSON.parse(readFileSync(file)).model }));
    writeFileSync("index.json", JSON.stringify(records));')
cp -r page/. dist/
# Models that were kept by browsers are not those of another build.
models=$(cd dist/models && sha256sum * | sha256sum | cut -c1-12)
sed -i "s/MODELSTAMP/$models/" dist/worker.js
# What is kept for when there is no network.
made=$(cd dist && printf '"%s", ' */bindings.js */bindings_bg.wasm records/*.json)
sed -i "s|MADE|${made%, }|" dist/offline.js
# The offline copy is renewed when a file of the page changes.
stamp=$(cd dist && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
sed -i "s/BUILD/$stamp/" dist/offline.js

# The widget of the Python package takes one build along.
widget=../python/fsvae/widget/module
mkdir -p $widget
cp dist/fsvae.js dist/simd/bindings.js dist/simd/bindings_bg.wasm $widget/

if [ ${#large[@]} -gt 0 ]; then
    printf '%s\n' "${large[@]}" >&2
    exit 1
fi
