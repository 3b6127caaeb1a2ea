#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# unit.sh FOLDER REPORT [WORD]… — runs a folder's unit tests (those whose names hold a WORD) and
# leaves $JUNIT_DIR/REPORT.xml. WRAP names a program to run each test under.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1 report=$2
shift 2
chosen=()
for word in "$@"; do
    mapfile -t -O ${#chosen[@]} chosen < <(meson test -C "$folder" --list --suite unit 2>/dev/null |
        sed 's/.* //' | grep -F -- "$word")
done
[ $# -eq 0 ] || [ ${#chosen[@]} -gt 0 ] || { echo "no unit test is named like: $*" >&2; exit 1; }
code=0
quiet=(--quiet)
[ ! -t 1 ] || quiet=() # a terminal sees them go by
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
meson test -C "$folder" --suite unit --no-rebuild --print-errorlogs "${quiet[@]}" ${WRAP:+--wrap "$WRAP"} \
    --timeout-multiplier 4 "${chosen[@]}" || code=$?
mkdir -p "$JUNIT_DIR"
cp "$folder/meson-logs/testlog.junit.xml" "$JUNIT_DIR/$report.xml"
exit $code
