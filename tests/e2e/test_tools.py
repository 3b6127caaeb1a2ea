# SPDX-License-Identifier: Apache-2.0
"""The tools that tell how the suites went."""
import pathlib
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

REPORT = """<testsuites><testsuite>
<testcase classname="c" name="good"/>
<testcase classname="c" name="left_out"><skipped message="no such program"/></testcase>
{more}</testsuite></testsuites>"""


def summary(folder):
    return subprocess.run(["/usr/bin/python3", TOOLS / "summary.py", folder], capture_output=True, text=True, check=False)


def test_a_skipped_test_is_named_with_its_reason(tmp_path):
    (tmp_path / "e2e.xml").write_text(REPORT.format(more=""))
    done = summary(tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["SKIPPED e2e: c left_out: no such program", "1 passed, 0 failed, 1 skipped"]


def test_a_failure_is_named_last_and_a_suite_that_died_is_one(tmp_path):
    (tmp_path / "e2e.xml").write_text(REPORT.format(more='<testcase classname="c" name="bad"><failure/></testcase>'))
    (tmp_path / "fuzz.exit").write_text("1")
    done = summary(tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == ["FAILED  e2e: c bad", "FAILED  fuzz: ended with 1, its report names no failure",
                                            "1 passed, 2 failed, 1 skipped"]


@pytest.mark.parametrize("has_sudo", [False, True])
def test_who_may_not_install_is_given_a_line_that_this_machine_can_run(tmp_path, has_sudo):
    """On a machine of four programs, which lacks every package."""
    programs = {"id": "echo 1000", "dpkg-query": "exit 1", "apt-get": "exit 1", **({"sudo": "exit 1"} if has_sudo else {})}
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(["/bin/bash", TOOLS / "setup.sh", "coverage"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    install = "apt-get install --no-install-recommends gcovr"
    line = f"sudo apt-get update && sudo {install}" if has_sudo else f"su - -c 'apt-get update && {install}'"
    assert done.returncode == 1 and done.stderr.splitlines()[-1].strip() == line
