#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Exported symbols wear their part's prefix, and something outside their file uses them.

Reads nm of build-unit's libraries and objects: what the linker sees, not what the text looks like.
"""
import pathlib
import re

import tree

# A part's prefix is its name; these have others too. base: one a file.
MORE = {"base": [p.stem for p in tree.files("src/base/*.h")], "policy": ["cors", "route"],
        "upstream": ["attempt", "deployment"], "server": ["exchange"],
        "keys": ["key"], "telemetry": ["prometheus", "access_log", "call_series", "strangers"], "yaml": ["ytree"],
        "crypto": [p.stem for p in tree.files("src/crypto/*.h")]}


def main():
    wrong = []
    defined, needed = tree.symbols()
    users = {}
    for where, name in needed:
        users.setdefault(name, set()).add(where)
    for where, name in sorted(defined):
        owner = re.search(r"src/lib(\w+)\.a\.p/", where)
        if not owner or owner.group(1) not in tree.parts() or name.startswith(("__", "DW.ref", "_GLOBAL_")):
            continue
        part = owner.group(1)
        if not any(name.startswith(prefix + "_") or name == prefix for prefix in [part, *MORE.get(part, [])]):
            wrong.append(f"{part}: {name} does not wear the part's prefix ({pathlib.Path(where).name})")
        if not users.get(name) and ("unused", name) not in tree.excepted():
            wrong.append(f"{part}: {name} is used in its own file only: make it static or remove it")
    tree.finish(wrong)


main()
