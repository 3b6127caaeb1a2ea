#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# release.sh — build-release/atlas-VERSION-ARCH.tar.gz with its SHA-256: the program with its
# symbols beside it, the licence and the pages an operator needs.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
name=atlas-$version-$(uname -m)
out=build-release/$name
rm -rf "$out"
mkdir -p "$out"
objcopy --only-keep-debug build/atlas "$out/atlas.debug"
objcopy --strip-debug --add-gnu-debuglink="$out/atlas.debug" build/atlas "$out/atlas"
cp -r LICENSE README.md CHANGELOG.md SECURITY.md docs "$out/"
tar -C build-release --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime="@$(git log -1 --format=%ct)" -czf "$out.tar.gz" "$name"
(cd build-release && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
