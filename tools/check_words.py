#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Words that no file of the tree may hold: promises without a date, and one person's machine."""
import re

import tree

PROMISES = re.compile("TO" r"DO\b|FIX" r"ME\b|\bXX" r"X\b")
MACHINE = re.compile(r"(?<![\w.])/(?:roo" r"t|wor" r"k)/|pypi\.o" r"rg|python" r"hosted|registry\.np" r"mjs|deb\.deb" r"ian")


def main():
    wrong = []
    for path in tree.files():
        if "corpus" in path.parts:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if PROMISES.search(line):
                wrong.append(f"{path}:{number}: open an issue instead: {line.strip()[:80]}")
            if MACHINE.search(line):
                wrong.append(f"{path}:{number}: names a machine or a host: {line.strip()[:80]}")
    tree.finish(wrong)


main()
