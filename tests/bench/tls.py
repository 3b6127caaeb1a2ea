# SPDX-License-Identifier: Apache-2.0
"""The gateways with TLS on both sides, and what a stream that is held over TLS takes."""
import contextlib
import pathlib
import selectors
import socket
import ssl
import subprocess
import time

import systems
from systems import CORES, NEVER_ENDS

HELD = 2000


def make_certificate(folder):
    """A certificate of ourselves, which is the only one believed."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)


def nginx_server(world, port, upstream, more):
    return f"""
    upstream model {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests {NEVER_ENDS}; }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {world.folder}/tls.crt; ssl_certificate_key {world.folder}/tls.key;
        location / {{
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
            {more}
        }}
    }}
"""


class NginxTls(systems.Nginx):
    def server(self):
        more = (f"proxy_pass https://model; proxy_ssl_name localhost; proxy_ssl_verify on; "
                f"proxy_ssl_trusted_certificate {self.world.folder}/tls.crt;")
        return nginx_server(self.world, self.port, self.world.tls_model_port, more)


class Model(systems.Nginx):
    """The model server's TLS; its cost is nobody's."""
    def server(self):
        return nginx_server(self.world, self.port, self.world.model_port, "proxy_pass http://model;")

    def start(self):
        self.run(CORES.on(CORES.model_core, self.command()))


class AtlasTls(systems.Atlas):
    def prepare(self):
        super().prepare()
        text = self.config.read_text()
        text = text.replace(f"  - address: 127.0.0.1:{self.port}\n", f"  - address: 127.0.0.1:{self.port}\n"
                            f"    tls: {{ certificate: {self.world.folder}/tls.crt, key: {self.world.folder}/tls.key }}\n")
        text = text.replace(f'url: "http://127.0.0.1:{self.world.model_port}/v1"',
                            f'url: "https://localhost:{self.world.tls_model_port}/v1", '
                            f'ca_file: {self.world.folder}/tls.crt')
        self.config.write_text(text)


def read_until(connections, is_over, longest_s):
    """Reads what comes on them until is_over(how many were heard)."""
    heard, until = set(), time.monotonic() + longest_s
    with selectors.DefaultSelector() as ready:
        for connection in connections:
            ready.register(connection, selectors.EVENT_READ)
        while not is_over(len(heard)):
            if time.monotonic() > until:
                raise SystemExit(f"bench: {len(heard)} of {len(connections)} streams over TLS were heard")
            for key, _ in ready.select(0.1):
                with contextlib.suppress(ssl.SSLWantReadError):  # nothing has come yet
                    if not key.fileobj.recv(65536):
                        raise SystemExit("bench: a stream over TLS ended")
                    heard.add(key.fileobj)


def held(load, system, body, count):
    """What each of `count` streams over TLS takes of the gateway's memory."""
    context = ssl.create_default_context(cafile=str(system.world.folder / "tls.crt"))
    request = pathlib.Path(load.request(system, body)).read_bytes()
    system.restart()
    before = system.rss_bytes()
    with contextlib.ExitStack() as ends:
        connections = []
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", system.port))
            connection = ends.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            connection.sendall(request)
            connection.setblocking(False)
            connections.append(connection)
        read_until(connections, lambda heard: heard == count, 60)
        settled = time.monotonic() + 3
        read_until(connections, lambda _: time.monotonic() > settled, 60)
        return (system.rss_bytes() - before) / count


def measure(world, load, options, chat_body, rounds_of, medians):
    """CPU a call and memory a stream, with TLS towards the client and towards the model server."""
    make_certificate(world.folder)
    world.tls_model_port = world.first_port + 17
    model = Model("model-tls", world.tls_model_port, world)
    running = [NginxTls("nginx", world.first_port + 18, world)]
    running.append(AtlasTls("atlas", world.first_port + 15, world))
    with contextlib.ExitStack() as ends:
        for system in [model, *running]:
            system.start()
            ends.callback(system.stop)
        body = chat_body(1700)
        for system in running:
            load.wrk(system, body, 1, scheme="https")
        calls = medians(rounds_of(options.rounds, running, lambda s: load.wrk(s, body, options.seconds, scheme="https")))
        stream = chat_body(1700, stream=True, gap_us=1000000)
        count = HELD // 4 if options.quick else HELD
        each = {s.name: {"rss_each": held(load, s, stream, count)} for s in running}
    return {"calls": calls, "streams": count, "held": each}
