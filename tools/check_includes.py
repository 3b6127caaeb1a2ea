#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A part includes its own headers and those of the parts that its row in src/meson.build names, and
no other; a part's *_internal.h is its own; each source file is in exactly its part's row."""
import pathlib
import re

import tree


def may_use(part):
    """The parts whose headers a part may include: what it names, and what those build on."""
    seen, ahead = {part}, [part]
    while ahead:
        for used in tree.parts()[ahead.pop()][1]:
            if used not in seen:
                seen.add(used)
                ahead.append(used)
    return seen


def main():
    wrong = []
    for path in tree.files("src/*.c", "src/*.h"):
        part = path.parts[1]
        if part not in tree.parts():
            wrong.append(f"{path}: '{part}' has no row in src/meson.build")
            continue
        if path.suffix == ".c" and str(path.relative_to("src")) not in tree.parts()[part][0] \
                and path.name != "main.c":
            wrong.append(f"{path}: is not in the row of '{part}' in src/meson.build")
        direct = set(tree.parts()[part][1]) | {part}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            named = re.match(r'#include "([^"]+)"', line)
            if not named:
                continue
            other = pathlib.PurePath(named.group(1)).parts[0]
            if not (pathlib.Path("src") / named.group(1)).exists():
                wrong.append(f"{path}:{number}: name the file from src/: {named.group(1)}")
            elif other not in direct:
                how = "is above or beside it" if other not in may_use(part) else "is not named"
                wrong.append(f"{path}:{number}: '{part}' may not include {named.group(1)}: '{other}' {how}"
                             " in its row of src/meson.build")
            elif other != part and named.group(1).endswith("_internal.h"):
                wrong.append(f"{path}:{number}: {named.group(1)} is internal to '{other}'")
    tree.finish(wrong)


main()
