# SPDX-License-Identifier: Apache-2.0
"""The page of the store's tables, from src/store/store_tables.def. For tools/reference.py."""
import pathlib
import re

DEFINITION = "src/store/store_tables.def"
HEAD = """# The store's tables

{note}
Version {version}. `src/store/store_tables.def` describes them; both drivers and this page are made of it. In `meta` stand the
version and a digest of the tables that a file was made with: a file of other tables is left alone, and a sentence says so.
Times are microseconds since 1970 (UTC) and 0 for never, days are days since 1970-01-01 (UTC), texts are UTF-8 without NUL and
are compared by their bytes. The file is `atlas.db` in the data folder, mode 0600, in WAL mode.

*Revision*: rises with each change of any row of the store, and the row that was changed gets it. Who changes a row says which
revision he has read; if the row has another one by now, nothing is changed. Orders begin with a table's key.
"""


def kind(macro, rest):
    return {"TEXT": lambda: f"text, {rest[0]} to {rest[1]} bytes" if rest[0] != rest[1] else f"text, {rest[0]} bytes",
            "BLOB": lambda: f"up to {rest[0]} bytes", "BYTES": lambda: f"{rest[0]} bytes",
            "INT": lambda: rest[0].removesuffix("_t"), "TIME": lambda: "time", "SUM": lambda: "sum"}[macro]()


def column(macro, cells):
    if macro == "NUMBER":
        return ("number", "int64", cells[1])
    if macro == "REVISION":
        return ("revision", "uint64", "of the row's last change")
    return (cells[1] + ("_us" if macro == "TIME" else ""), kind(macro, cells[2:-1]), cells[-1])


def page(rows, table, note):
    version = re.search(r"STORE_TABLES_VERSION (\d+)", pathlib.Path("src/store/store_table.h").read_text())[1]
    orders = re.findall(r"^ *INDEX\((\w+), \w+, (.*)\)$", pathlib.Path(DEFINITION).read_text(), re.M)
    text = HEAD.format(note=note, version=version)
    columns = {}
    for macro, cells in rows(DEFINITION, "TABLE", "TEXT", "BLOB", "BYTES", "INT", "TIME", "SUM", "NUMBER", "REVISION"):
        if macro == "TABLE":
            columns[cells[0]] = (cells[2], cells[3], [])
        else:
            columns[cells[0]][2].append(column(macro, cells))
    for name, (in_sql, meaning, lines) in columns.items():
        fields = [", ".join(f"`{field}`" for field in re.findall(r"F\(\w+, (\w+)\)", order))
                  for owner, order in orders if owner == name]
        text += f"\n## {in_sql}\n\n{meaning}.\n\n" + table(["column", "type", "meaning"], lines)
        text += "\n\nOrders: " + "; ".join(fields) + ".\n"
    return text
