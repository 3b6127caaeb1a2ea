#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files, functions, complexity and public headers stay small (exceptions.txt names who may not)."""
import re
import subprocess

import tree

FILE_LINES, FUNCTION_LINES, TEST_LINES, COMPLEXITY, HEADER_FUNCTIONS, LINE_COLUMNS, CHECKER_LINES = 600, 70, 200, 15, 20, 100, 60
wrong = []


def hold(check, thing, value, most, where):
    if value > most and (check, str(thing)) not in tree.excepted():
        wrong.append(f"{where}: {value} {check}, of at most {most}")


for path in tree.files("*.c", "*.h", "*.py", "*.sh"):
    lines = path.read_text().splitlines()
    hold("lines", path, len(lines), FILE_LINES, path)
    if path.name.startswith("check_"):
        hold("lines", path, len(lines), CHECKER_LINES, path)
for path in tree.files("*.c", "*.h"):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        hold("columns", path, len(line), LINE_COLUMNS, f"{path}:{number}")

sources = tree.files("src/*.c", "src/*.h", "tests/*.c")
said = subprocess.run(["pmccabe", *sources], capture_output=True, text=True, check=True).stdout
for row in said.splitlines():
    complexity, _, _, _, lines, where = row.split("\t")
    name = where.split(": ")[1]
    hold("complexity", name, int(complexity), COMPLEXITY, where)
    # A test is mostly its table.
    hold("lines", name, int(lines), TEST_LINES if where.startswith("tests/") else FUNCTION_LINES, where)

for path in tree.files("src/*.h"):
    if not path.stem.endswith("_internal"):
        functions = re.findall(r"^(?!typedef|#|static)[\w \t*]+[ *](\w+)\([^;{]*\)[^;{]*;", tree.code_of(path), re.M)
        hold("functions", path, len(functions), HEADER_FUNCTIONS, path)
tree.finish(wrong)
