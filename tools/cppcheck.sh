#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cppcheck.sh — cppcheck over src/, two at a time; what it knows already is kept in build-tidy/.
set -euo pipefail
mkdir -p build-tidy/cppcheck
exec cppcheck -q -j2 --error-exitcode=1 --enable=warning,performance,portability --std=c11 \
    --library=posix,gnu --inline-suppr --cppcheck-build-dir=build-tidy/cppcheck \
    --suppressions-list=tools/cppcheck.suppress -D_GNU_SOURCE -D__linux__ -DATLAS_VERSION='"x"' -Isrc src
