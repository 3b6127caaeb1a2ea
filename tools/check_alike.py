#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No six lines of code are alike in two places of src/: what is needed twice has a name.

Counts lines with words in them; comments, includes, lone braces and blank lines do not count.
"""
import tree

ALIKE = 6


def lines_of(path):
    rows = [(n, " ".join(line.split())) for n, line in enumerate(tree.code_of(path).splitlines(), 1)]
    return [(n, line) for n, line in rows if any(c.isalpha() for c in line) and not line.startswith(("#", "case "))]


def main():
    seen, wrong = {}, []
    for path in tree.files("src/*.c", "src/*.h"):
        lines, last = lines_of(path), None
        for i in range(len(lines) - ALIKE + 1):
            window = tuple(line for _, line in lines[i:i + ALIKE])
            here = (path, lines[i][0])
            there = seen.setdefault(window, here)
            if there[0] == path and 0 <= here[1] - there[1] < ALIKE:
                continue  # a table's rows overlap themselves
            if there != here and ("alike", f"{path}") not in tree.excepted():
                # One report for a run of alike windows.
                if last != i - 1:
                    wrong.append(f"{here[0]}:{here[1]}: six lines as at {there[0]}:{there[1]}")
                last = i
    tree.finish(wrong)


main()
