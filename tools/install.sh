#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install.sh — puts the program that $ATLAS names, and all that goes with it, below
# $DESTDIR$PREFIX. Starts nothing, makes no user, and leaves /etc alone.
set -euo pipefail
if [ $# -gt 0 ]; then
    echo "usage: [ATLAS=…] [PREFIX=/usr/local] [DESTDIR=] tools/install.sh     it takes no arguments, and installs" >&2
    [[ $# -eq 1 && ($1 == --help || $1 == -h) ]] && exit 0
    exit 2
fi
cd "$(dirname "$0")/.."
: "${ATLAS:=build/atlas}" "${PREFIX:=/usr/local}" "${DESTDIR:=}"
[[ $PREFIX == /* ]] || { echo "install: PREFIX=$PREFIX is not an absolute path" >&2; exit 2; }
to=$DESTDIR$PREFIX
doc=$to/share/doc/atlas

put() { # put MODE FILE TARGET
    install -D -m "$1" -- "$2" "$3"
}

made=$(mktemp -d)
trap 'rm -rf -- "$made"' EXIT
put 0755 "$ATLAS" "$to/bin/atlas"
mkdir "$made/man"
"$ATLAS" man --to "$made/man"
for page in "$made"/man/*; do
    put 0644 "$page" "$to/share/man/man${page##*.}/${page##*/}"
done
"$ATLAS" completion bash >"$made/atlas.bash"
put 0644 "$made/atlas.bash" "$to/share/bash-completion/completions/atlas"
"$ATLAS" completion zsh >"$made/_atlas"
put 0644 "$made/_atlas" "$to/share/zsh/site-functions/_atlas"
sed "s|@PREFIX@|$PREFIX|" packaging/atlas.service >"$made/atlas.service"
put 0644 "$made/atlas.service" "$to/lib/systemd/system/atlas.service"
put 0644 packaging/atlas.sysusers "$to/lib/sysusers.d/atlas.conf"
"$ATLAS" config sample >"$made/atlas.yaml"
put 0644 "$made/atlas.yaml" "$doc/examples/atlas.yaml"
put 0644 packaging/atlas.logrotate "$doc/examples/atlas.logrotate"
for page in LICENSE README.md CHANGELOG.md SECURITY.md share/models.yaml docs/*.md docs/*/*.md; do
    put 0644 "$page" "$doc/$page"
done
echo "installed below $to; next: $PREFIX/share/doc/atlas/docs/operating.md"
