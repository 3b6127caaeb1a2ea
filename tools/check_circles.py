#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Within a part no file needs another that needs the first: a reader of one reads on downwards and comes to an end.

Tables of steps stand above the steps, which go on by what they return; so that a table names its steps is no arrow. The parts in WITH have
a circle each of old; that list may only shrink.
"""
import pathlib
import re

import tree

WITH = {"admin", "base", "doctor", "journal", "json", "main", "net", "server", "settings", "store", "telemetry", "upstream"}


def is_step(symbol):
    return "_step_" in symbol and symbol.startswith("call_")


def part_of(where):
    found = re.search(r"src/lib(\w+)\.a\.p/", where)
    return found.group(1) if found else None


def in_a_circle(arrows):
    """The files that lead back to themselves: what is left when all that need nothing more were taken away, from either end."""
    left = {file: set(needs) for file, needs in arrows.items()}
    while True:
        needed = set().union(*left.values())
        ends = {file for file, needs in left.items() if not needs or file not in needed}
        if not ends:
            return left
        left = {file: needs - ends for file, needs in left.items() if file not in ends}


def main():
    wrong = []
    defined, needed = tree.symbols()
    owner = {name: where for where, name in defined if part_of(where)}
    arrows = {part: {where: set() for where in owner.values() if part_of(where) == part} for part in tree.parts()}
    for where, name in needed:
        part, other = part_of(where), owner.get(name)
        if part and other and other != where and part_of(other) == part and not is_step(name):
            arrows[part].setdefault(where, set()).add(other)
    for part in sorted(arrows):
        left = in_a_circle(arrows[part]) if arrows[part] else {}
        if left and part not in WITH:
            for where, others in sorted(left.items()):
                wrong.append(f"{part}: {pathlib.Path(where).stem} is part of a circle, by {', '.join(pathlib.Path(o).stem for o in sorted(others))}")
        if part in WITH and not left:
            wrong.append(f"{part} has no circle any more: take it off the list")
    tree.finish(wrong)


main()
