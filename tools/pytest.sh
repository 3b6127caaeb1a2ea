#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pytest.sh REPORT [WORD]… — tests/e2e against the program that $ATLAS names; leaves
# $JUNIT_DIR/REPORT.xml. WORDs choose tests as pytest's -k does.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$1
shift
mkdir -p "$JUNIT_DIR"
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
renice -n -10 -p $$ >/dev/null 2>&1 || true # where one may: how late a call is, is to be the gateway's doing
exec /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml "$JUNIT_DIR/$report.xml" \
    ${1:+-k "$*"} tests/e2e </dev/null
