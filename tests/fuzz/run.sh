#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [SECONDS] [WORD]… — builds the fuzz targets of meson.build with clang and runs each (those
# whose names hold a WORD) for SECONDS ($FUZZ_SECONDS, else 10), two at a time, over its corpus.
#
# What a run finds new goes to build-fuzz/found/NAME and is used again by the next; what crashes goes
# to build-fuzz/crash/NAME (then belongs into corpus/NAME, with its fix). Ends with 1 when a target
# crashed, leaked or took too long for one input. Leaves $JUNIT_DIR/fuzz.xml.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-10}
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi

# Warnings are lint's affair, and clang has others than gcc.
CC=clang-14 CXX=clang++-14 tools/build.sh build-fuzz -Dfuzzing=true -Dtests=disabled \
    -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dwerror=false

names=()
for source in tests/fuzz/fuzz_*.c; do
    name=${source#tests/fuzz/fuzz_}
    name=${name%.c}
    chosen=$#
    for word in "$@"; do
        [[ $name == *"$word"* ]] && chosen=0
    done
    [ "$chosen" -eq 0 ] && names+=("$name")
done
[ ${#names[@]} -gt 0 ] || { echo "no fuzz target is named like: $*" >&2; exit 1; }

code=0
rm -f build-fuzz/*.case
printf '%s\n' "${names[@]}" |
    xargs -P 2 -I NAME nice -n 5 tests/fuzz/one.sh NAME "$seconds" || code=1
if [ -n "${JUNIT_DIR:-}" ]; then
    mkdir -p "$JUNIT_DIR"
    { echo '<testsuites><testsuite name="fuzz">'
      cat build-fuzz/*.case
      echo '</testsuite></testsuites>'; } >"$JUNIT_DIR/fuzz.xml"
fi
exit "$code"
