#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# release.sh — build-release/atlas-VERSION-ARCH.tar.gz with its SHA-256: the program with its
# symbols beside it, the licence and the pages an operator needs.
#
# The program is compiled twice: first so that it counts what it does while tools/train.py keeps it
# busy, then for what it counted (GCC's profile-guided optimisation). Counts differ from run to run,
# so they are kept beside the archive: PROFILE=that file builds the same archive again, byte by byte,
# with the same compiler and libraries, on any machine and in any folder.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
name=atlas-$version-$(uname -m)
folder=build-trained
out=build-release/$name
export CCACHE_DISABLE=1 # what it kept of another folder has that folder's paths
at="@$(git log -1 --format=%ct)"
archive() { # archive FOLDER FILE NAME… — the same bytes for the same files
    local from=$1 to=$2
    shift 2
    tar -C "$from" --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw --mtime="$at" \
        -cf - "$@" | gzip -n9 >"$to"
}

rm -rf "$out" "$folder"
mkdir -p "$out"
if [ -z "${PROFILE:-}" ]; then
    PROFILE=build-release/$name.profile.tar.gz
    tools/build.sh "$folder" -Db_lto=true -Dtests=disabled -Db_pgo=generate
    tools/build.sh build-bench -Dbench=true -Dtests=disabled
    echo "training it (half a minute)"
    tools/train.py "$folder/atlas" build/atlas
    (cd "$folder" && find . -name '*.gcda' | LC_ALL=C sort) >build-release/counted
    [ -s build-release/counted ] || { echo "release: the program left no counts" >&2; exit 1; }
    archive "$folder" "$PROFILE" -T "$PWD/build-release/counted"
    rm -rf build-release/counted "$folder"
fi
mkdir -p "$folder"
tar -C "$folder" -xzf "$PROFILE"
tools/build.sh "$folder" -Db_lto=true -Dtests=disabled -Db_pgo=use

objcopy --only-keep-debug "$folder/atlas" "$out/atlas.debug"
objcopy --strip-debug --add-gnu-debuglink="$out/atlas.debug" "$folder/atlas" "$out/atlas"
cp -r LICENSE README.md CHANGELOG.md SECURITY.md docs "$out/"
archive build-release "$out.tar.gz" "$name"
"$out/atlas" version
(cd build-release && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
