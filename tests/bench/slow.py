# SPDX-License-Identifier: Apache-2.0
"""One model on three servers, of which one takes ten times as long to begin: how long calls take by Atlas's choice, by nginx's
round robin and by its least_conn. No two prompts begin alike, so nobody stays for what a server has read."""
import contextlib
import json
import statistics

import prefixes
import systems
from systems import NEVER_ENDS

FIRST_TOKEN_MS = (40, 40, 400)
RATE = 200  # calls a second, begun whether others have ended or not
CONNECTIONS = 128
SECONDS = 8  # a connection that is not used for ten is closed
FIGURES = ("p50_us", "p99_us")


class RoundRobin(systems.Nginx):
    method, most = "", len(FIRST_TOKEN_MS)

    def server(self):
        servers = " ".join(f"server 127.0.0.1:{port};" for port in self.world.slow_ports[:self.most])
        return f"""
    upstream model {{ {self.method} {servers} keepalive 1024; keepalive_requests {NEVER_ENDS}; }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
"""


class OneServer(RoundRobin):
    """A quick one alone: what the machine's other work adds to everybody's."""
    most = 1


class LeastConnections(RoundRobin):
    method = "least_conn;"


class ThreeServers(systems.Atlas):

    def prepare(self):
        super().prepare()
        settings = self.config.read_text().split("upstreams:")[0]
        ups = {f"u{at}": {"kind": "vllm", "url": f"http://127.0.0.1:{port}/v1", "region": "sa"} for at, port in enumerate(self.world.slow_ports)}
        model = {"bench-model": {"deployments": [{"upstream": name} for name in ups]}}
        self.config.write_text(settings + f"upstreams: {json.dumps(ups)}\nmodels: {json.dumps(model)}\n")


def calls_at(simulator):
    """How many a simulator has had."""
    return prefixes.counters(simulator)["calls"]


def timed(load, system, body, seconds):
    """A run's figures, and the part of its calls that the slow server got."""
    before = [calls_at(port) for port in system.world.slow_ports]
    row = load.timed(system, "calls", system.port, load.request(system, body), RATE, CONNECTIONS, seconds)
    each = [calls_at(port) - had for port, had in zip(system.world.slow_ports, before)]
    return {**{name: row[name] for name in FIGURES}, "slow": each[-1] / sum(each)}


def measure(world, load, options):
    body = json.dumps({"model": "bench-model", "messages": [{"role": "user", "content": "########: what does the report say of the coast?"}]})
    rows = {}
    with contextlib.ExitStack() as ends:
        world.slow_ports = [ends.enter_context(prefixes.Simulator(world.atlas, ["--first-token-ms", ms])) for ms in FIRST_TOKEN_MS]
        kinds = {"nginx, a quick server alone": OneServer, "nginx, round robin": RoundRobin, "nginx, least_conn": LeastConnections,
                 "atlas": ThreeServers}
        running = [kind(name, world.first_port + 13 + at, world) for at, (name, kind) in enumerate(kinds.items())]
        for system in running:
            system.start()
            ends.callback(system.stop)
            timed(load, system, body.encode(), 2)  # connections; and what is slow is seen
        for at in range(options.rounds):
            for system in running if at % 2 == 0 else reversed(running):
                rows.setdefault(system.name, []).append(timed(load, system, body.encode(), SECONDS))
    return {name: {key: statistics.median(row[key] for row in rounds) for key in rounds[0]} for name, rounds in rows.items()}


def markdown(result):
    text = (f"\n| three servers, {', '.join(map(str, FIRST_TOKEN_MS))} ms, {RATE} calls/s | p50, ms | p99, ms | calls to the slow one | p99 of Atlas's |\n"
            "| --- | ---: | ---: | ---: | ---: |\n")
    for name, row in result.items():
        text += (f"| {name} | {row['p50_us'] / 1000:.1f} | {row['p99_us'] / 1000:.1f} | {row['slow'] * 100:.1f} % "
                 f"| {row['p99_us'] / result['atlas']['p99_us']:.1f} × |\n")
    return text
