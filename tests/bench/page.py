# SPDX-License-Identifier: Apache-2.0
"""The bench's figures as a table and as a picture."""
import prefixes
import routing
import slow


def cell(value, digits=1):
    return "" if value is None else f"{value:,.{digits}f}"


class Table:
    """A markdown table: a row a figure, a column a system."""

    def __init__(self, names):
        self.names = names
        self.lines = ["| figure | " + " | ".join(names) + " |",
                      "| --- |" + " ---: |" * len(names)]

    def add(self, what, figures, key, digits=1, scale=1.0):
        values = [figures.get(name, {}).get(key) for name in self.names]
        self.lines.append(f"| {what} | " + " | ".join(
            cell(None if v is None or (name == "direct" and key in ("cpu_us", "rss_each", "busy"))
                 else v * scale, digits) for name, v in zip(self.names, values)) + " |")

    def text(self):
        return "\n".join(self.lines) + "\n"


def names_of(result):
    for case in ("calls", "rates", "streams"):
        if case in result:
            return list(next(iter(result[case].values())))
    for case in ("crowd", "keys"):
        if case in result:
            return list(result[case]["systems"])
    return list(result.get("idle", next(iter(result.get("instructions", {}).values()), {})))


def part_verdicts(parts, say):
    """The rows that single parts have; `say` adds one whose value is to be small."""
    if not parts:
        return []
    for size, reach in (("1.7 kB", 1.5), ("100 kB", 80)):
        rows = {name: row for name, row in parts["json"].items() if size in name}
        slowest = max(rows, key=lambda name: rows[name]["index"])
        say(f"JSON index, {slowest} (simdjson's DOM: {rows[slowest]['simdjson']:.2f} µs)",
            rows[slowest]["index"], reach, "µs", 2)
    keys = parts["keys"]
    say(f"memory of a key, {keys['count']:,} keys", keys["bytes"], 200, "bytes")
    say(f"loading {keys['count']:,} keys", keys["load_s"], 5, "s", 2)
    durable = parts["durable"]
    return [f"| durable journal records a second | {durable:,} | ≥ 100,000 | "
            f"{'yes' if durable >= 100000 else 'no'} |"]


def said_by_parts(parts):
    """What their benches printed, as it is."""
    return "".join(f"\n`{name}`:\n\n{indent(text.strip())}\n" for name, text in parts["said"].items())


def indent(text):
    return "\n".join("    " + line if line else "" for line in text.splitlines())


def verdicts(result):
    """Each row of the design's numbers that applies: what was reached."""
    out = []

    def say(what, value, reach, unit, digits=1):
        met = "yes" if value <= reach else f"no, by {(value / reach - 1) * 100:.0f} %"
        out.append(f"| {what} | {value:.{digits}f} {unit} | ≤ {reach:.{digits}f} {unit} | {met} |")

    def beside_nginx(what, row, reach, trained_reach=None):
        for name, most in (("atlas", reach), ("atlas+trained", trained_reach or reach)):
            if {"nginx", name} <= set(row):
                say(f"{what}{', trained' if '+' in name else ''}, of nginx's", row[name]["cpu_us"] / row["nginx"]["cpu_us"],
                    most, "×", 2)

    for name, row in result.get("calls", {}).items():
        beside_nginx(f"CPU a call, {name}", row, *((1.05, 1.0) if name == "1.7 kB" else (1.4,)))
    rates = result.get("rates", {})
    beside_nginx("CPU a call at 1,000 calls/s", rates.get("1.7 kB at 1000/s", {}), 1.1)
    rates = rates.get("1.7 kB at 3000/s", {})
    if {"nginx", "atlas"} <= set(rates):
        say("p50 beyond nginx's at 3,000 calls/s",
            rates["atlas"]["p50_us"] - rates["nginx"]["p50_us"], 25, "µs", 0)
        say("p99 beyond nginx's at 3,000 calls/s",
            rates["atlas"]["p99_us"] - rates["nginx"]["p99_us"], 200, "µs", 0)
    for name, row in result.get("streams", {}).items():
        beside_nginx(f"CPU an event, {name}", row, 1.0)
    crowd = result.get("crowd", {})
    if "atlas" in crowd.get("systems", {}):
        row = crowd["systems"]["atlas"]
        say(f"RSS a stream, {crowd['streams']:,} streams", row["rss_each"] / 1024, 12, "KiB")
        say(f"lateness p99, {crowd['streams']:,} streams", row["p99_us"] / 1000, 10, "ms")
    idle = result.get("idle", {})
    if "atlas" in idle:
        say("idle RSS", idle["atlas"]["rss"] / 1048576, 20, "MiB")
        say("start to ready", idle["atlas"]["start_ms"], 200, "ms", 0)
    if "keys" in result:
        say(f"start to ready with {result['keys']['count']:,} keys", result["keys"]["systems"]["atlas"]["start_ms"] / 1000,
            5, "s", 2)
    for language, ratio in result.get("routing", {}).get("instructions", {}).items():
        say(f"instructions of a call with routing, of the same without, {language}", ratio, 1.15, "×", 2)
    out += part_verdicts(result.get("parts"), say)
    if not out:
        return ""
    return ("\n| row of the reach | measured | reach | met |\n| --- | ---: | ---: | --- |\n"
            + "\n".join(out) + "\n")


def markdown(result):
    m = result["machine"]
    text = (f"{m['cpu']}, {m['cores']} cores{' of a virtual machine' if m['virtual'] else ''}, "
            f"{m['memory_gib']} GiB, {m['system']}, Linux {m['kernel']}, at most {m['open_files']:,} "
            f"open files; atlas {m['atlas']}, nginx {m['nginx']}, haproxy {m['haproxy']}, "
            f"wrk {m['wrk']}. Medians of {result['rounds']} rounds of {result['seconds']} s each, "
            f"systems in turn; the whole run took {result.get('took_s', 0)} s.\n\n")
    table = Table(names_of(result))
    for name, row in result.get("calls", {}).items():
        table.add(f"CPU a call, {name}, µs", row, "cpu_us")
        table.add("… least of the rounds", row, "cpu_us_least")
        table.add(f"calls/s, {name}", row, "calls_s", 0)
        table.add("… cores that the gateway had", row, "busy", 2)
    for name, row in result.get("rates", {}).items():
        table.add(f"p50, {name}, µs", row, "p50_us", 0)
        table.add(f"p99, {name}, µs", row, "p99_us", 0)
        table.add(f"CPU a call, {name}, µs", row, "cpu_us")
    for name, row in result.get("streams", {}).items():
        table.add(f"CPU an event, {name}, µs", row, "cpu_us")
        table.add("… least of the rounds", row, "cpu_us_least")
        table.add(f"event late p50, {name}, µs", row, "p50_us", 0)
        table.add(f"event late p99, {name}, µs", row, "p99_us", 0)
    if "crowd" in result:
        count, row = result["crowd"]["streams"], result["crowd"]["systems"]
        table.add(f"RSS a stream, {count:,} streams, KiB", row, "rss_each", 1, 1 / 1024)
        table.add(f"CPU an event, {count:,} streams, µs", row, "cpu_us")
        table.add(f"event late p50, {count:,} streams, µs", row, "p50_us", 0)
        table.add(f"event late p99, {count:,} streams, µs", row, "p99_us", 0)
    if "tls" in result:
        table.add("CPU a call, 1.7 kB, TLS in and out, µs", result["tls"]["calls"], "cpu_us")
        table.add("… least of the rounds", result["tls"]["calls"], "cpu_us_least")
        table.add(f"RSS a stream, {result['tls']['streams']:,} streams, TLS in and out, KiB", result["tls"]["held"],
                  "rss_each", 1, 1 / 1024)
    if "idle" in result:
        table.add("idle RSS, MiB", result["idle"], "rss", 1, 1 / 1048576)
        table.add("start to ready, ms", result["idle"], "start_ms", 0)
    if "keys" in result:
        row = result["keys"]["systems"]
        table.add(f"start to ready with {result['keys']['count']:,} keys, ms", row, "start_ms", 0)
        table.add(f"idle RSS with {result['keys']['count']:,} keys, MiB", row, "rss", 1, 1 / 1048576)
    for name, row in result.get("instructions", {}).items():
        row = {system: {"count": value} for system, value in row.items()}
        table.add(f"instructions a call (user space), {name}", row, "count", 0)
    own = "".join(part.markdown(result[name]) for name, part in (("routing", routing), ("prefixes", prefixes), ("slow", slow)) if name in result)
    return text + table.text() + own + verdicts(result) + said_by_parts(result.get("parts", {"said": {}}))


# ---- the picture ----

COLOURS = {"direct": "#9aa0a6", "haproxy": "#5b8def", "nginx": "#3aa675", "nginx+log": "#8fd0b3",
           "atlas": "#d9822b", "atlas+trained": "#b5540c"}
BAR, GAP, LEFT, WIDE, PANEL = 16, 4, 80, 230, 380


def panels(result):
    """(title, {system: value}) of each small chart."""
    out = []
    for name, row in result.get("calls", {}).items():
        out.append((f"CPU a call, {name} (µs)", {s: f["cpu_us"] for s, f in row.items()
                                                 if s != "direct"}))
    for name, row in result.get("streams", {}).items():
        out.append((f"CPU an event, {name} (µs)", {s: f["cpu_us"] for s, f in row.items()
                                                   if s != "direct"}))
    for name, row in result.get("rates", {}).items():
        if name.startswith("1.7"):
            out.append((f"p99, {name} (µs)", {s: f["p99_us"] for s, f in row.items()}))
    if "crowd" in result:
        row = result["crowd"]["systems"]
        out.append((f"RSS a stream, {result['crowd']['streams']:,} (KiB)",
                    {s: f["rss_each"] / 1024 for s, f in row.items() if s != "direct"}))
        out.append((f"event late p99, {result['crowd']['streams']:,} streams (ms)",
                    {s: f["p99_us"] / 1000 for s, f in row.items()}))
    return out


def panel(title, values, x, y):
    most = max(values.values()) or 1
    lines = [f'<text x="{x}" y="{y + 14}" class="title">{title}</text>']
    for at, (name, value) in enumerate(values.items()):
        top = y + 26 + at * (BAR + GAP)
        width = max(1, value / most * WIDE)
        lines += [f'<text x="{x + LEFT - 8}" y="{top + 12}" class="name">{name}</text>',
                  f'<rect x="{x + LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" '
                  f'fill="{COLOURS.get(name, "#888")}"/>',
                  f'<text x="{x + LEFT + width + 5:.1f}" y="{top + 12}" class="value">'
                  f'{value:,.1f}</text>']
    return lines


def svg(result):
    charts = panels(result)
    height_each = 26 + 6 * (BAR + GAP) + 18
    rows = (len(charts) + 1) // 2
    width, height = 2 * PANEL + 20, rows * height_each + 40
    m = result["machine"]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             f'width="{width}" height="{height}" role="img" aria-label="Atlas beside nginx and haproxy">',
             "<style>text{font:12px sans-serif;fill:#333}.title{font-weight:bold}"
             ".name{text-anchor:end}.foot{font-size:10px;fill:#666}</style>",
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for at, (title, values) in enumerate(charts):
        lines += panel(title, values, 10 + at % 2 * PANEL, 8 + at // 2 * height_each)
    lines += [f'<text x="10" y="{height - 10}" class="foot">{m["cpu"]}, {m["cores"]} cores, '
              f'Linux {m["kernel"]}; one worker each; shorter is better</text>', "</svg>"]
    return "\n".join(lines) + "\n"
