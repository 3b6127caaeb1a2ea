#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The magic numbers that begin our structs are all different."""
import re

import tree

seen, wrong = {}, []
for path in tree.files("src/*.c", "src/*.h", "src/*.def", "tests/*.c", "tests/*.h"):
    for name, value in re.findall(r"#define\s+(\w*_MAGIC)\s+(0x[0-9a-fA-F]+)u?", path.read_text()):
        other = seen.setdefault(int(value, 16), (name, path))
        if other != (name, path):
            wrong.append(f"{path}: {name} is {value}, as {other[0]} in {other[1]} is")
tree.finish(wrong)
