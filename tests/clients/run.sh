#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [WORD]… — the official SDKs as their users use them, against the simulator and against real
# models. Python's and Node's packages are installed by version and hash into the cache folder, once.
# Leaves $JUNIT_DIR/clients.xml. WORDs choose tests as pytest's -k does.
set -euo pipefail
cd "$(dirname "$0")"
: "${ATLAS:=$PWD/../../build/atlas}" "${JUNIT_DIR:=$PWD/../../build/junit}"
export ATLAS
mkdir -p "$JUNIT_DIR"
lock=$(cat requirements.lock node/package-lock.json | sha256sum | cut -c1-16)
home=${XDG_CACHE_HOME:-$HOME/.cache}/atlas/clients-$lock
if [ ! -e "$home/.complete" ]; then
    echo "installing the Python and Node SDKs into $home"
    rm -rf "$home"
    /usr/bin/python3 -m venv "$home"
    "$home/bin/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    cp node/package.json node/package-lock.json "$home/"
    (cd "$home" && PATH="$home/bin:$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund)
    touch "$home/.complete"
fi
export CLIENTS_HOME=$home
exec "$home/bin/python" -m pytest -q -p no:cacheprovider --junitxml "$JUNIT_DIR/clients.xml" \
    ${1:+-k "$*"} . </dev/null
