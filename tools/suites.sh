#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# suites.sh SUITE… — runs each suite by its make target, whatever the ones before it did, and ends
# with one line summed from their JUnit reports. A suite that fails without saying so in its report
# counts as one failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
: "${JUNIT_DIR:=$PWD/build/junit}"
export JUNIT_DIR
rm -rf "$JUNIT_DIR"
mkdir -p "$JUNIT_DIR"
for suite in "$@"; do
    case $suite in
    wire | clients | fuzz | fault) needs=tests/$suite/run.sh ;;
    e2e) needs=tests/e2e ;;
    *) needs=Makefile ;;
    esac
    [ -e "$needs" ] || { echo "== $suite: not written yet"; continue; }
    echo "== $suite"
    started=$SECONDS
    make --no-print-directory "$suite" </dev/null
    echo $? >"$JUNIT_DIR/$suite.exit"
    echo "== $suite took $((SECONDS - started)) s"
done
exec /usr/bin/python3 tools/summary.py "$JUNIT_DIR"
