#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""summary.py FOLDER: sums the JUnit reports (*.xml) and suites' exit codes (*.exit) of a folder.

Names each failure and what was skipped, with the reason, then prints `N passed, N failed` alone on the last line. Ends with 1 when
anything failed or nothing ran.
"""
import pathlib
import sys
import xml.etree.ElementTree as tree


def read(report):
    """The count of those that passed, and the names of the skipped and the failed ones of one report."""
    passed, skipped, failed = 0, [], []
    for case in tree.parse(report).iter("testcase"):
        outcomes = {child.tag for child in case}
        name = f"{report.stem}: {case.get('classname', '')} {case.get('name')}"
        if outcomes & {"failure", "error"}:
            failed.append(name)
        elif "skipped" in outcomes:
            why = next((child.get("message") for child in case if child.tag == "skipped"), None)
            skipped.append(name + (f": {why}" if why else ""))
        else:
            passed += 1
    return passed, skipped, failed


def main():
    folder = pathlib.Path(sys.argv[1])
    passed, skipped, failed = 0, [], []
    told = set()
    for report in sorted(folder.glob("*.xml")):
        try:
            more, left_out, wrong = read(report)
        except tree.ParseError as error:
            more, left_out, wrong = 0, [], [f"{report.stem}: its report is damaged: {error}"]
        passed, skipped, failed = passed + more, skipped + left_out, failed + wrong
        told |= {report.stem.split("-")[-1], report.stem} if wrong else set()
    for code in sorted(folder.glob("*.exit")):
        if code.read_text().strip() != "0" and code.stem not in told:
            failed.append(f"{code.stem}: ended with {code.read_text().strip()}, its report names no failure")
    for name in skipped:
        print(f"SKIPPED {name}")
    for name in failed:
        print(f"FAILED  {name}")
    print(f"{passed} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())
