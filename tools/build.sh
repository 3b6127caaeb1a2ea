#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER [meson option]… — sets a build folder up once (anew when its options change) and
# compiles it. A variant is a folder, so they live side by side.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
shift
options="CC=${CC:-} $*"
if [ "$(cat "$folder/.options" 2>/dev/null)" != "$options" ]; then
    mkdir -p "$folder"
    [ -f "$folder/build.ninja" ] && set -- --wipe "$@"
    meson setup "$folder" "$@" >"$folder.log" 2>&1 || { cat "$folder.log" >&2; exit 1; }
    rm -f "$folder.log"
    echo "compiling into $folder (a minute or so the first time)"
    printf '%s' "$options" >"$folder/.options"
fi
# Meson talks a page when it configures again; only what goes wrong is news.
ninja -C "$folder" --quiet build.ninja >"$folder/.configured" 2>&1 || { cat "$folder/.configured" >&2; exit 1; }
targets=()
# The program's own folder holds the program alone: the tests have theirs.
[ "$folder" = build ] && targets=(atlas)
for only in fuzzers benches; do
    grep -q "^build $only:" "$folder/build.ninja" && targets=("$only")
done
# A line that counts on a terminal, one now and then elsewhere; and whatever a compiler says.
progress() {
    local line shown='' last=$SECONDS
    while IFS= read -r line; do
        if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
            if [ -t 1 ]; then
                shown=yes
                printf '\r\033[Kcompiling: %s of %s' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
            elif ((SECONDS - last >= 10)); then
                last=$SECONDS
                printf 'compiling: %s of %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
            fi
        elif [[ $line != 'ninja: '@('Entering directory'*|'no work to do.') ]]; then
            [ -z "$shown" ] || printf '\r\033[K'
            shown=''
            printf '%s\n' "$line"
        fi
    done
    [ -z "$shown" ] || printf '\r\033[K'
}
shopt -s extglob
NINJA_STATUS='[%f/%t] ' nice -n 5 ninja -C "$folder" "${targets[@]}" | progress
