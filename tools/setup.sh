#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# setup.sh GROUP… — installs, with apt, what the groups need and this machine lacks.
#
# Groups: build test run lint bench coverage valgrind. As root or with passwordless sudo it installs;
# otherwise it prints the exact line and ends with 1. Nothing that it installs is started: a
# policy-rc.d that says no is there for as long as apt runs, and services are not left to start at
# boot. On a system without dpkg it names the needs and goes on.
set -euo pipefail

declare -A why packages
why[build]="the compiler, Meson and the libraries Atlas links with"
packages[build]="gcc libc6-dev meson ninja-build pkg-config python3 libuv1-dev libc-ares-dev libssl-dev libsqlite3-dev
    libyaml-dev libglib2.0-dev libpcre2-dev libvectorscan-dev tzdata"
why[test]="the test runners, the fuzzers' compiler and the peers that the suites talk to"
packages[test]="libcmocka-dev clang-14 libclang-rt-14-dev libsimdjson-dev g++ libhttp-parser-dev varnish
    python3-pytest python3-httpx python3-venv openssl curl sqlite3 git groff-base zsh logrotate"
why[run]="pip in a virtual environment, which fetches the models, and curl"
packages[run]="python3 python3-venv curl"
why[lint]="the formatter, the linters and the counters of complexity"
packages[lint]="valgrind clang-format-14 clang-tidy-14 clang-14 pmccabe cppcheck codespell shellcheck binutils git
    libcmocka-dev libsimdjson-dev g++ libhttp-parser-dev"
why[bench]="the proxies that Atlas is measured beside, and the load"
packages[bench]="nginx-light haproxy wrk valgrind libsimdjson-dev g++ python3"
why[coverage]="the coverage report"
packages[coverage]="gcovr"
why[valgrind]="valgrind"
packages[valgrind]="valgrind"

missing=()
for group in "$@"; do
    [ -n "${packages[$group]:-}" ] || { echo "setup.sh: no such group: $group" >&2; exit 2; }
    read -rd '' -a wanted <<<"${packages[$group]}" || true
    present=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "${wanted[@]}" 2>/dev/null || true)"
    lacking=()
    for package in "${wanted[@]}"; do
        [[ "$present ${missing[*]/#/installed:} " == *" installed:$package "* ]] || lacking+=("$package")
    done
    [ ${#lacking[@]} -eq 0 ] && continue
    if ! command -v apt-get >/dev/null; then
        echo "setup.sh: this system has no apt; '$group' needs what Debian calls: ${lacking[*]}" >&2
        continue
    fi
    echo "setup: $group needs ${lacking[*]} (${why[$group]})"
    missing+=("${lacking[@]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "setup: not root and no sudo without a password; please run this, then try again:" >&2
        if command -v sudo >/dev/null; then
            echo "    sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        else # Debian leaves sudo out where root was given a password
            echo "    su - -c 'apt-get update && apt-get install --no-install-recommends ${missing[*]}'" >&2
        fi
        exit 1
    fi
    as_root=(sudo -n)
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '"${as_root[@]}" rm -f '$policy EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
fi
enabled_services() { # none where there is no such folder
    { find /etc/systemd/system -path '*.wants/*.service' -printf '%f\n' 2>/dev/null || true; } | sort -u
}
enabled=$(enabled_services)
echo "setup: installing with apt (a minute or so)"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -qq)
"${apt[@]}" update </dev/null
"${apt[@]}" -y \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends "${missing[@]}" </dev/null >/dev/null
# deb-systemd-helper serves maintainer scripts, and wants to be told whose this is.
comm -13 <(echo "$enabled") <(enabled_services) | while read -r service; do
    "${as_root[@]}" env DPKG_MAINTSCRIPT_PACKAGE="$service" deb-systemd-helper disable "$service" >/dev/null ||
        echo "setup: $service is enabled at boot now"
done
echo "setup: installed"
