#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# one.sh NAME SECONDS — runs one fuzz target that run.sh built; prints a line for it and leaves
# build-fuzz/NAME.log and NAME.case, its line of the JUnit report.
set -euo pipefail
cd "$(dirname "$0")/../../build-fuzz"
name=$1 seconds=$2
options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
options+=(-artifact_prefix="crash/$name/")
[ -f "../tests/fuzz/$name.dict" ] && options+=(-dict="../tests/fuzz/$name.dict")
folders=("found/$name")
[ -d "../tests/fuzz/corpus/$name" ] && folders+=("../tests/fuzz/corpus/$name")
mkdir -p "found/$name" "crash/$name"
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

started=$SECONDS code=0
"tests/fuzz/fuzz_$name" "${options[@]}" "${folders[@]}" >"$name.log" 2>&1 </dev/null || code=$?
case="<testcase classname=\"fuzz\" name=\"$name\" time=\"$((SECONDS - started))\""
if [ "$code" -ne 0 ]; then
    printf '  FAIL  %s: see build-fuzz/%s.log\n' "$name" "$name"
    tail -n 40 "$name.log"
    echo "$case><failure message=\"exit code $code\"/></testcase>" >"$name.case"
    exit 1
fi
inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$name.log")
printf '  ok    %-20s %s inputs\n' "$name" "${inputs:-no}"
echo "$case/>" >"$name.case"
