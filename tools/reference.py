#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""reference.py PROGRAM [--check]: writes docs/reference/ from the tables that the program is built
from: admin-api.md (`PROGRAM config openapi`), errors.md (err.def), health.md (health.def), journal.md (journal_record.def), metrics.md (counter.def and its like), settings.md (`PROGRAM config reference`);
and docs/formats/schema.md (store_tables.def).
With --check it writes nothing and ends with 1 when a page is not what it would write.
"""
import json
import pathlib
import re
import subprocess
import sys

import schema

PAGES = pathlib.Path("docs/reference")
NOTE = "<!-- Written by `make docs`; a change here is lost. -->\n"


def rows(table, *macros):
    """The rows of an X-macro table: (macro, [its arguments, quotes and blanks removed])."""
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(table).read_text(), flags=re.S)
    words = r'"(?:\\.|[^"\\])*"|[^",()]+'
    row = re.compile(rf"^ *({'|'.join(macros)})\(((?:{words}|,)*)\)", re.M)
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
    lines += [(f"`{metric}`", ", ".join(f"`{label}`" for label in labels.split(", ") if label), kind, text)
              for _, (metric, labels, kind, text) in rows("src/telemetry/prometheus.def", "SAMPLE")]
    return f"""# Metrics
{NOTE}
`GET /metrics` on the admin listener, in Prometheus's text form.

{table(["metric", "labels", "kind", "what it counts"], lines)}
"""


def health():
    lines = [(f"`{word}`", "error" if level == "LOG_ERROR" else "warn", "200" if ready == "true" else "503",
              "go on" if refusal == "ERR_OK" else f"503, `{refusal.removeprefix('ERR_')}`", text)
             for _, (_, word, level, ready, refusal, text) in rows("src/base/health.def", "HEALTH")]
    return f"""# Health
{NOTE}
What can be wrong with a gateway. While it is, /readyz names it, with since when on the admin listener; so do `atlas status` and
`atlas_health_problems{{kind="…"}}`. The log says it once when it appears, at its level, and once, as `info`, when it has gone.

{table(["kind", "level", "/readyz", "calls", "what it means, and what to do"], lines)}
"""


def journal():
    kinds = [cells for _, cells in rows("src/journal/journal_kinds.def", "KIND")]
    order = [name for name, _, _ in kinds]

    def letters(expression):
        if expression == "ALL":
            return " ".join(str(order.index(name) + 1) for name in order)
        if expression.startswith("ALL & ~"):
            return " ".join(str(i + 1) for i, name in enumerate(order) if name != expression.removeprefix("ALL & ~"))
        return " ".join(str(order.index(name.strip()) + 1) for name in expression.split("|"))

    what = {"I64": "number", "U16": "number", "U8": "number, 255 at most", "BOOL": "`true`, `false`", "SOME": "number; may lack", "MARK": "`true`; may lack", "ID": "text", "HASH": "64 hex digits",
            "KIND": "text", "OUTCOME": "text", "SCHEMA": "number", "WORDS": "text", "MAYBE": "text; may lack", "DIGEST": "64 hex digits; may lack"}
    lines = []
    for macro, cells in rows("src/journal/journal_record.def", "FIXED", "TEXT", "STATE"):
        member, kinds_of, text = cells[0], cells[-2], cells[-1]
        kind = "object" if macro == "STATE" else what[cells[2]]
        lines.append((f"`{member}`", kind, letters(kinds_of), text))
    return f"""# Records of the journal
{NOTE}
What every line of the journal may say; how lines are written and kept: [../formats/journal.md](../formats/journal.md). A record has all
members of its kind, in this order, but for those that may lack: these are left out where nothing is known. `""` and `0` mean "not
known" or "has not happened". Times are milliseconds since 1970 (UTC).

{table(["kind", "in the line", "when it is written, and what for"], [(str(i + 1), f"`{word}`", text) for i, (_, word, text) in enumerate(kinds)])}

{table(["member", "value", "kinds", "meaning"], lines)}
"""


def kind_of(schema):
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name})"
    if "anyOf" in schema:
        return ", ".join(kind_of(one) for one in schema["anyOf"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if kinds == ["null"]:
        return "null"
    if kinds[0] == "array":
        most = f"at most {schema['maxItems']}: " if "maxItems" in schema else ""
        words = [f"list of {most}{kind_of(schema['items'])}"]
    elif kinds[0] == "object" and "maxProperties" not in schema:
        words = ["JSON"]
    elif kinds[0] == "object":
        words = [f"object of at most {schema['maxProperties']}: {kind_of(schema['additionalProperties'])}"]
    elif schema.get("format", "").startswith("unix-time"):
        words = ["seconds since 1970" + (", time" if "string" in kinds else "")]
    elif schema.get("format") == "decimal":
        words = ["amount"]
    elif "enum" in schema:
        words = [", ".join(f"`{word}`" for word in schema["enum"] if word is not None)]
    elif kinds[0] == "integer":
        most = "" if schema.get("maximum", 2**63 - 1) == 2**63 - 1 else f" to {schema['maximum']}"
        words = [f"number from {schema['minimum']}{most}" if "minimum" in schema else "number"]
    elif "format" in schema:
        words = [{"date-time": "time", "date": "day"}[schema["format"]]]
    elif kinds[0] == "string" and "maxLength" in schema:
        least, most = schema["minLength"], schema["maxLength"]
        words = [f"text of {least} bytes" if least == most else f"text of {least} to {most} bytes"]
    else:
        words = [{"string": "text", "boolean": "`true`, `false`"}[kinds[0]]]
    return ", ".join(words + ["null"] * ("null" in kinds))


def admin_operation(method, path, row):
    """One operation's part of the page."""
    scope = "no key" if not row["security"] else f"scope `{row['security'][0]['admin_key'][0]}`"
    action = f"; recorded as `{row['x-atlas-action']}`" if "x-atlas-action" in row else ""
    content = row["responses"]["201" if "201" in row["responses"] else "200"]["content"]
    given = content.get("application/json", {}).get("schema", {})
    if "$ref" in given:
        gives = kind_of(given)
    elif "data" in given.get("properties", {}):
        gives = f"a list of {kind_of(given['properties']['data']['items'])}"
    else:
        gives = "a document" if given else "text"
    body = row.get("requestBody")
    takes = f" Takes {kind_of(body['content']['application/json']['schema'])}." if body else ""
    lines = [(f"`{p['name']}`", p["in"], kind_of(p["schema"]) if p["in"] == "query" else "text",
              "yes" if p["required"] else "", p["description"]) for p in row["parameters"]]
    params = "\n" + table(["parameter", "in", "value", "needed", "meaning"], lines) + "\n" if lines else ""
    fails = ", ".join(status for status in row["responses"] if status not in ("200", "201"))
    return f"""## {method.upper()} {path}

{row["summary"]}. Asks for {scope}{action}.{takes} Gives {gives}; or {fails}.
{params}"""


def admin_object(name, schema):
    """One object's part of the page."""
    lines = [(f"`{member}`", kind_of(value), "yes" if member in schema["required"] else "", value.get("description", ""))
             for member, value in schema["properties"].items()]
    return f"""## {name}

{schema["description"]}.

{table(["member", "value", "needed" if name.endswith(("_create", "_change")) else "always there", "meaning"], lines)}
"""


def admin_api(program):
    said = json.loads(subprocess.run([program, "config", "openapi"], check=True, capture_output=True, text=True).stdout)
    operations = [admin_operation(method, path, row) for path, methods in said["paths"].items() for method, row in methods.items()]
    objects = [admin_object(name, schema) for name, schema in said["components"]["schemas"].items() if name != "error"]
    roles = ["owner", "admin", "operator", "auditor", "developer"]
    scopes = [(f"`{row['scope']}`", row["description"], *("yes" if role in row["x-atlas-roles"] else "" for role in roles), "yes" if row["of_a_team"] else "")
              for row in said["x-atlas-scopes"]]
    return f"""# The admin API: every request and object
{NOTE}
How requests are sent, who may, pages, revisions and errors: [../formats/admin-api.md](../formats/admin-api.md). A running gateway
answers this page's source, OpenAPI 3.1, at `GET /admin/v1/openapi.json`; `atlas config openapi` prints it.

{chr(10).join(operations)}
# Scopes

{table(["scope", "lets", *roles, "bound to a team"], scopes)}

# Objects

{chr(10).join(objects).rstrip()}
"""


def settings(program):
    return subprocess.run([program, "config", "reference"], check=True, capture_output=True, text=True).stdout


def main():
    pages = {"admin-api.md": admin_api(sys.argv[1]), "errors.md": errors(), "health.md": health(), "journal.md": journal(), "metrics.md": metrics(),
             "settings.md": settings(sys.argv[1]), "../formats/schema.md": schema.page(rows, table, NOTE)}
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
