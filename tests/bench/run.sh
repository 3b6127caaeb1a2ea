#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [option of run.py]… — `make bench`: builds the two ends of the bench and runs it.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/build.sh build-bench -Dbench=true -Dtests=disabled
exec timeout --signal=TERM 1200 /usr/bin/python3 tests/bench/run.py "$@"
