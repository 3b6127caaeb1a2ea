#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""reference.py PROGRAM [--check]: writes docs/reference/ from the tables that the program is built
from: errors.md (err.def), metrics.md (counter.def), settings.md (`PROGRAM config reference`).
With --check it writes nothing and ends with 1 when a page is not what it would write.
"""
import pathlib
import re
import subprocess
import sys

PAGES = pathlib.Path("docs/reference")
NOTE = "<!-- Written by `make docs`; a change here is lost. -->\n"


def rows(table, *macros):
    """The rows of an X-macro table: (macro, [its arguments, quotes and blanks removed])."""
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(table).read_text(), flags=re.S)
    words = r'"(?:\\.|[^"\\])*"|[^",()]+'
    row = re.compile(rf"^({'|'.join(macros)})\(((?:{words}|,)*)\)", re.M)
    for macro, inside in row.findall(text):
        cells, last = [""], ""
        for token in re.findall(rf"{words}|,", inside):
            if token == ",":
                cells.append("")
            elif token.strip():
                cells[-1] += token.strip() if token[0] != '"' else token[1:-1].replace('\\"', '"')
        yield macro, [cell.strip() for cell in cells]


def table(head, lines):
    ruler = "|" + "---|" * len(head)
    return "\n".join(["| " + " | ".join(head) + " |", ruler,
                      *("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)])


def errors():
    replies, inside = [], []
    for _, (name, status, kind, code, retry, sentence) in rows("src/base/err.def", "ERR"):
        if status in ("0", "499"):
            inside.append((f"`{name}`", sentence))
        else:
            replies.append((status, f"`{code}`" if code != "NULL" else "null", f"`{kind}`", sentence,
                            "yes" if retry == "true" else "no", f"`{name}`"))
    return f"""# Errors
{NOTE}
Every reply that is not a success is `{{"error":{{"message","type","param","code"}}}}`. *Retry*: the same
call may succeed later. 429 and 503 carry `Retry-After`; 409, 429 and 5xx, which SDKs retry by themselves, carry
`x-should-retry: false` where that is of no use. *Name* stands in the logs and the journal.

{table(["status", "code", "type", "message", "retry", "name"], sorted(replies, key=lambda r: r[0]))}

## Never sent to a client

{table(["name", "what it means"], inside)}
"""


def metrics():
    lines = [(f"`{metric}`", f"`{labels}`" if labels else "", "counter" if macro == "COUNTER" else "gauge", text)
             for macro, (_, metric, labels, text) in rows("src/base/counter.def", "COUNTER", "GAUGE")]
    lines += [(f"`{metric}`", "`le`", "histogram", text)
              for _, (_, metric, text) in rows("src/base/histogram.def", "HISTOGRAM")]
    return f"""# Metrics
{NOTE}
`GET /metrics` on the admin listener, in Prometheus's text form.

{table(["metric", "labels", "kind", "what it counts"], lines)}
"""


def settings(program):
    return subprocess.run([program, "config", "reference"], check=True, capture_output=True, text=True).stdout


def main():
    pages = {"errors.md": errors(), "metrics.md": metrics(), "settings.md": settings(sys.argv[1])}
    stale = [name for name, text in pages.items()
             if not (PAGES / name).exists() or (PAGES / name).read_text() != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"{PAGES / name}: is not what the tables say; run `make docs`")
        sys.exit(1 if stale else 0)
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (PAGES / name).write_text(pages[name])


main()
