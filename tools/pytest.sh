#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pytest.sh REPORT [WORD]… — tests/e2e against the program that $ATLAS names; leaves
# $JUNIT_DIR/REPORT.xml. WORDs choose tests as pytest's -k does. JOBS=2: two files of tests at a
# time (each leaves $JUNIT_DIR/FILE.REPORT.xml), where how late something is matters less: under a
# sanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$1
shift
mkdir -p "$JUNIT_DIR"
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
renice -n -10 -p $$ >/dev/null 2>&1 || true # where one may: how late a call is, is to be the gateway's doing
chosen=("${@:+-k}" "$*")
[ $# -gt 0 ] || chosen=()
if [ "${JOBS:-1}" -eq 1 ]; then
    exec /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml "$JUNIT_DIR/$report.xml" \
        "${chosen[@]}" tests/e2e </dev/null
fi

# shellcheck disable=SC2317 # xargs calls it
# One file of tests; that none of them was chosen is no failure.
one() {
    local file=$1 report=$2 code=0
    shift 2
    /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml \
        "$JUNIT_DIR/$(basename "$file" .py).$report.xml" "$@" "$file" </dev/null || code=$?
    [ "$code" -eq 0 ] || [ "$code" -eq 5 ]
}
export -f one
printf '%s\n' tests/e2e/test_*.py |
    xargs -P "$JOBS" -I '{}' bash -c 'one "$@"' one '{}' "$report" "${chosen[@]}"
grep -q '<testcase' "$JUNIT_DIR"/*."$report.xml" || { echo "no test is named like: $*" >&2; exit 5; }
