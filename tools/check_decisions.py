#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each decision record has a number of its own, which its title says, and whoever names one names its page."""
import collections
import pathlib
import re

import tree

FOLDER = pathlib.Path("docs/decisions")
NAMED = re.compile(r"decisions/(\d{4}[\w.-]*)")


def main():
    wrong = []
    pages = collections.defaultdict(list)
    for path in sorted(FOLDER.iterdir()):
        number = path.name[:4]
        pages[number].append(path.name)
        title = path.read_text().partition("\n")[0]
        if not re.fullmatch(rf"# {number}\. \S.*", title):
            wrong.append(f"{path}:1: the title is `# {number}. What was decided`")
    for number, names in pages.items():
        if len(names) > 1:
            wrong.append(f"{FOLDER}: {number} is the number of {', '.join(names)}")
    for path in tree.files():
        if "corpus" in path.parts or path.suffix not in (".md", ".c", ".h", ".py"):
            continue
        for line_number, line in enumerate(path.read_text().splitlines(), 1):
            for name in map(lambda found: found.rstrip("."), NAMED.findall(line)):
                if name not in pages and name not in pages.get(name[:4], []):
                    wrong.append(f"{path}:{line_number}: there is no decision {name}")
    tree.finish(wrong)


main()
