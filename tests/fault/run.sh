#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [WORD]… — builds the gateway with calls that can be made to fail (build-fault, under ASan with
# slow checks) and runs the scenarios (those whose names hold a WORD), two at a time: in each, the 1st,
# 2nd, 3rd … call of every kind fails, until none does. Every one is tried. Ends with 1 when something
# was wrong. Leaves $JUNIT_DIR/fault.xml. One failure alone, for a debugger:
#   build-fault/tests/fault/fault SCENARIO '' [CASE [KIND [N]]]
set -euo pipefail
cd "$(dirname "$0")/../.."
export ASAN_OPTIONS=detect_leaks=1:handle_abort=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

tools/build.sh build-fault -Dfaults=true -Dtests=disabled -Db_sanitize=address,undefined \
    -Db_lundef=false -Doptimization=1 -Dslow_checks=true

names=()
for name in start chat stream embeddings reload key; do
    chosen=$#
    for word in "$@"; do
        [[ $name == *"$word"* ]] && chosen=0
    done
    [ "$chosen" -eq 0 ] && names+=("$name")
done
[ ${#names[@]} -gt 0 ] || { echo "no scenario is named like: $*" >&2; exit 1; }

# shellcheck disable=SC2317 # xargs calls it
# One scenario; a program that died says so in a case of its own.
one() {
    local name=$1 code=0
    timeout -s ABRT 900 nice -n 5 build-fault/tests/fault/fault "$name" "build-fault/$name.case" \
        >"build-fault/$name.log" 2>&1 || code=$?
    grep -v '^  ok' "build-fault/$name.log" || true
    if [ "$code" -gt 1 ] || { [ "$code" -eq 1 ] && ! grep -q '<failure' "build-fault/$name.case"; }; then
        echo "<testcase classname=\"fault.$name\" name=\"it ends\"><failure message=\"it ended with" \
            "status $code; build-fault/$name.log says more\"/></testcase>" >>"build-fault/$name.case"
    fi
    return "$code"
}
export -f one

code=0
rm -f build-fault/*.case
printf '%s\n' "${names[@]}" | xargs -P 2 -I NAME bash -c 'one NAME' || code=1
if [ -n "${JUNIT_DIR:-}" ]; then
    mkdir -p "$JUNIT_DIR"
    { echo '<testsuites><testsuite name="fault">'
      cat build-fault/*.case
      echo '</testsuite></testsuites>'; } >"$JUNIT_DIR/fault.xml"
fi
exit "$code"
