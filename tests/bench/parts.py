# SPDX-License-Identifier: Apache-2.0
"""The small benches of single parts, beside the whole gateway: what they print, and their figures."""
import re
import subprocess

from systems import CORES


def run(tools, name, *arguments):
    return subprocess.run(CORES.load([tools / name, *map(str, arguments)]), check=True,
                          capture_output=True, text=True).stdout


def json_figures(text):
    """Of each body's row: the fastest index and the fastest simdjson DOM, in microseconds."""
    found = {}
    for line in text.splitlines():
        row = re.match(r"(\S.*?)\s{2,}\d+\s+\d+\s+(\d+)\s+\d+\s+\d+\s+\d+\s+(\d+)\s+\d+$", line)
        if row:
            found[row.group(1)] = {"index": int(row.group(2)) / 1000, "simdjson": int(row.group(3)) / 1000}
    return found


def key_figures(text):
    """Of the largest number of keys: bytes each, and seconds until they were loaded."""
    count = max(int(n) for n in re.findall(r"^(\d+) keys$", text, re.M))
    block = text.split(f"{count} keys\n", 1)[1]
    return {"count": count,
            "bytes": float(re.search(r"in memory, each\s+([\d.]+) bytes", block).group(1)),
            "load_s": float(re.search(r"loaded from SQLite in\s+([\d.]+) ms", block).group(1)) / 1000}


def measure(tools, folder):
    """All of them; `folder` is on the disk that the journal's is measured on."""
    said = {name: run(tools, name, *more)
            for name, more in (("bench_json", ()), ("bench_keys", ()), ("bench_decision", ()), ("bench_journal", (folder,)))}
    said["bench_journal"] = re.sub(r"the records are in .*\n", "", said["bench_journal"])
    durable = re.search(r"^flood\s+(\d+) durable/s", said["bench_journal"], re.M)
    return {"said": said, "json": json_figures(said["bench_json"]),
            "keys": key_figures(said["bench_keys"]), "durable": int(durable.group(1))}
