#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/ is what the tables and the program say."""
import subprocess
import sys

subprocess.run(["tools/build.sh", "build-unit", "-Dslow_checks=true"], check=True, stdout=subprocess.DEVNULL)
sys.exit(subprocess.run(["/usr/bin/python3", "tools/reference.py", "build-unit/atlas", "--check"]).returncode)
