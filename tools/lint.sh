#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh — every check of the tree that is not a test of the program; goes on after a failure and
# ends with 1 when there was one. Set LINT_ONLY to a word to run the checks whose names hold it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
failed=()

check() { # check NAME COMMAND… — runs it and says how long it took
    local name=$1 started=$EPOCHREALTIME
    shift
    [[ $name == *"${LINT_ONLY:-}"* ]] || return 0
    [ ! -t 1 ] || printf '  …     %s\r' "$name"
    if "$@" </dev/null; then
        printf '  ok    %-12s %5.1f s\n' "$name" "$(bc_minus "$EPOCHREALTIME" "$started")"
    else
        failed+=("$name")
        printf '  FAIL  %s\n' "$name"
    fi
}

bc_minus() { awk -v a="$1" -v b="$2" 'BEGIN { print a - b }'; }

mapfile -t sources < <(git ls-files -co --exclude-standard -- '*.c' '*.h' | sort)
mapfile -t scripts < <(git ls-files -co --exclude-standard -- '*.sh' .ci/run tools/pre-commit | sort)

check format clang-format-14 --dry-run -Werror "${sources[@]}"
# words.def: lists of words in fifteen languages, of which no other than English is spelt as English is
check spelling codespell -q 3 -S './tests/*,LICENSE,./build*,./.git,*words.def' \
    --ignore-words tools/codespell.words
check shell shellcheck "${scripts[@]}"
for checker in tools/check_*.py; do
    name=${checker#tools/check_}
    [ -e "$checker" ] && check "${name%.py}" /usr/bin/python3 "$checker"
done
check cppcheck tools/cppcheck.sh
check tidy nice -n 5 /usr/bin/python3 tools/tidy.py

[ ${#failed[@]} -eq 0 ] && { echo "lint: clean"; exit 0; }
echo "lint: failed: ${failed[*]}"
exit 1
