#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each header compiles alone, is guarded by PART_FILE_H, and opens with its licence and a page."""
import concurrent.futures
import os
import re
import subprocess

import tree


def look_at(path):
    text, wrong = path.read_text(), []
    guards = [f"{folder}_{path.stem}_H".upper() for folder in path.parts[1:-1]]
    if not any(f"#ifndef {guard}\n#define {guard}\n" in text for guard in guards):
        wrong.append(f"{path}: its guard is {guards[-1]}")
    if not re.match(r"/\* SPDX-License-Identifier: Apache-2.0 \*/\n/\*\s+(?:\* )?" + re.escape(path.name) + " — ", text):
        wrong.append(f"{path}: it opens with the licence line and a page `{path.name} — what it is.`")
    done = subprocess.run(["gcc", "-fsyntax-only", "-std=gnu17", "-Wall", "-Werror", "-D_GNU_SOURCE", "-Isrc",
                           "-x", "c", path], capture_output=True, text=True)
    return wrong + done.stderr.splitlines()


def main():
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [line for lines in pool.map(look_at, tree.files("src/*.h")) for line in lines]
    for path in tree.files("*.c", "*.h", "*.py", "*.sh", "*.def"):
        if path.suffix != ".def" and "SPDX-License-Identifier: Apache-2.0" not in path.read_text()[:120]:
            wrong.append(f"{path}: it opens with the licence line")
    tree.finish(wrong)


main()
