# SPDX-License-Identifier: Apache-2.0
"""What the bench measures: the model server alone, and gateways in front of it."""
import contextlib
import fcntl
import os
import pathlib
import platform
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request

CLIENTS = 12000 # each gateway takes this many
NEVER_ENDS = 1000000000 # requests of one connection


class Cores:
    """Who runs where. Each core's other work disturbs, so what is measured stays on one."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        self.gateway_core = cores[0] if len(cores) > 1 else None
        self.load_core = cores[-1] if len(cores) > 1 else None
        self.model_core = cores[1] if len(cores) > 1 else None
        self.files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    @staticmethod
    def on(core, command):
        return list(command) if core is None else ["taskset", "-c", str(core), *command]

    def load(self, command):
        return self.on(self.load_core, command)


CORES = Cores()


def tree_of(pid):
    """The process and all that it started."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for at in found:
        found += children.get(at, [])
    return found


def run_ns(pid):
    """Nanoseconds that all threads of a process ran: the scheduler's count, user and system."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


class System:
    """A gateway: how it is started, and what it takes."""
    key = "mx4_sk_live_none"
    writes_log = False # where there is a twin that writes none

    def __init__(self, name, port, world):
        self.name, self.port, self.world = name, port, world
        self.process = None
        self.folder = world.folder / f"{name.replace('+', '-')}-{port}"
        self.folder.mkdir()
        self.prepare()

    def prepare(self):
        """Writes its configuration."""

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def start(self):
        self.run(CORES.on(CORES.gateway_core, self.command()))

    def start_counted(self, valgrind):
        """Starts it under valgrind."""
        self.run([*valgrind, *self.command()])

    def run(self, command, **more):
        with open(self.folder / "output", "ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=self.folder,
                                            **more)
        until = time.monotonic() + 20
        while not self.is_ready():
            if time.monotonic() > until or self.process.poll() is not None:
                sys.exit(f"bench: {self.name} does not start: "
                         + (self.folder / "output").read_text()[-2000:])
            time.sleep(0.002)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in tree_of(self.process.pid):
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        self.start()
        time.sleep(0.3)

    @property
    def pids(self):
        """Looked at anew each time: a gateway that answers may not have forked yet."""
        return [] if self.process is None else tree_of(self.process.pid)

    def cpu_s(self):
        return sum(run_ns(pid) for pid in self.pids) / 1e9

    def rss_bytes(self):
        total = 0
        for pid in self.pids:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024
        return total


class Direct(System):
    """The model server itself: what the load and it can do."""

    def prepare(self):
        self.port = self.world.model_port

    def start(self):
        pass

    def stop(self):
        pass


class Nginx(System):
    """It has more places for connections than files: with few places left it closes new connections,
    thinking them idle."""
    log = "off"

    def prepare(self):
        (self.folder / "nginx.conf").write_text(f"""
{"user root; " if os.geteuid() == 0 else ""}daemon off; worker_processes 1; pid nginx.pid; error_log error.log; worker_rlimit_nofile {CORES.files};
events {{ worker_connections {CORES.files * 5 // 4}; }}
http {{
    access_log {self.log};
    client_body_temp_path body; proxy_temp_path proxy;
    keepalive_requests {NEVER_ENDS}; client_body_buffer_size 256k; client_max_body_size 32m;
    {self.server()}
}}
""")

    def server(self):
        return f"""
    upstream model {{
        server 127.0.0.1:{self.world.model_port};
        keepalive 1024; keepalive_requests {NEVER_ENDS};
    }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        location / {{
            proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
"""

    def command(self):
        return ["/usr/sbin/nginx", "-p", str(self.folder) + "/", "-c", self.folder / "nginx.conf",
                "-e", self.folder / "error.log"]


class NginxWithLog(Nginx):
    log = "access.log"
    writes_log = True


class Haproxy(System):

    def prepare(self):
        (self.folder / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn {min(CLIENTS, (CORES.files - 200) // 2)}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option http-no-delay
frontend clients
    bind 127.0.0.1:{self.port} backlog 4096
    default_backend model
backend model
    server one 127.0.0.1:{self.world.model_port} pool-max-conn 1024
""")

    def command(self):
        return ["/usr/sbin/haproxy", "-db", "-f", self.folder / "haproxy.cfg"]


class Atlas(System):
    program = None # the one that is measured

    def prepare(self):
        self.config = self.folder / "atlas.yaml"
        self.config.write_text(f"""
zone: bench
region: sa
data: {self.folder}/data
workers: 1
drain_notice: 0s
listen:
  - address: 127.0.0.1:{self.port}
admin: {{ address: "127.0.0.1:{self.port + 1}" }}
upstreams:
  model: {{ kind: vllm, url: "http://127.0.0.1:{self.world.model_port}/v1", region: sa, idle_connections_max: 1024 }}
models:
  bench-model: {{ upstream: model }}
""")
        atlas = str(self.program or self.world.atlas)
        subprocess.run([atlas, "init", "--config", self.config], check=True, capture_output=True)
        made = subprocess.run([atlas, "key", "create", "--config", self.config, "--name", "bench"],
                              check=True, capture_output=True, text=True)
        self.key = made.stdout.strip()

    def command(self):
        return [str(self.program or self.world.atlas), "serve", "--config", self.config]

    def start_counted(self, valgrind):
        """The child alone: it is executed as /proc/self/exe, which would be valgrind. What it
        inherits is told as in src/serve/serve.h. Under valgrind all goes some fifty times slower but
        the clock: with the usual interval each call would have a commit of its own."""
        slow = self.config.with_name("counted.yaml")
        slow.write_text(self.config.read_text() + "journal: { commit_interval: 1s }\n")
        listeners = [socket.create_server(("127.0.0.1", self.port + at)) for at in (0, 1)]
        listeners.append(socket.socket(socket.AF_UNIX))
        (self.folder / "data/admin.sock").unlink(missing_ok=True)
        listeners[2].bind(str(self.folder / "data/admin.sock"))
        listeners[2].listen()
        public, admin, local = (s.fileno() for s in listeners)
        life, self.alive = os.pipe() # it ends with us
        with open(self.folder / "data/lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            told = f"1 1 {admin} {local} {lock.fileno()} -1 {life} 0 0 {public}"
            self.run([*valgrind, self.world.atlas, "serve", "--config", slow], env=dict(os.environ, ATLAS_INHERITED=told),
                     pass_fds=(public, admin, local, lock.fileno(), life))
        os.close(life)
        for s in listeners:
            s.close()

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1}/readyz",
                                          timeout=1).status == 200
        except OSError:
            return False


class AtlasWithKeys(Atlas):
    """With so many keys that nobody has: rows like that of the one that was made."""
    keys = 1000000

    def prepare(self):
        super().prepare()
        with contextlib.closing(sqlite3.connect(self.folder / "data/atlas.db")) as db:
            columns = [row[1] for row in db.execute("PRAGMA table_info(api_key)")]
            new = {"id": "'0' || substr('0000000000' || n, -11)", "mac": "randomblob(32)", "number": "number + n",
                   "revision": "revision + n"}
            db.execute(f"""
                WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted LIMIT {self.keys})
                INSERT INTO api_key ({", ".join(columns)})
                SELECT {", ".join(new.get(column, column) for column in columns)}
                FROM (SELECT * FROM api_key LIMIT 1), counted""")
            db.execute("UPDATE meta SET number = number + ? WHERE name = 'revision'", (self.keys,))
            db.commit()


class AtlasTrained(Atlas):
    """As `make release` makes it."""

    def prepare(self):
        self.program = self.world.atlas.parent.parent / "build-trained/atlas"
        super().prepare()


KINDS = {"direct": Direct, "haproxy": Haproxy, "nginx": Nginx, "nginx+log": NginxWithLog,
         "atlas": Atlas, "atlas+trained": AtlasTrained}


def free_ports(count):
    """The first of `count` ports in a row that nothing listens on."""
    for first in range(21000, 30000, count):
        sockets = []
        try:
            for port in range(first, first + count):
                s = socket.socket()
                sockets.append(s)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    sys.exit("bench: no free ports")


def prefer(nice):
    """Lets the machine's other work disturb less, where that is allowed. All that is measured
    inherits it. The kernel shares the cores between sessions first, then within each."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        pathlib.Path("/proc/self/autogroup").write_text(str(nice))
    except OSError:
        pass


class Running:
    """The model server and the gateways, for as long as the bench runs."""

    def __init__(self, folder, atlas, tools):
        self.folder, self.atlas, self.tools = folder, atlas, tools
        self.systems = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (CORES.files, CORES.files))
        prefer(-15)

    def __enter__(self):
        self.first_port = free_ports(20)
        self.model_port = self.first_port
        self.model = subprocess.Popen(
            CORES.on(CORES.model_core, [self.tools / "bench_model", str(self.model_port)]))
        return self

    def start(self, names):
        for name in names:
            system = KINDS[name](name, self.first_port + 2 + 2 * len(self.systems), self)
            self.systems.append(system)
            system.start()
        return self.systems

    def __exit__(self, *_):
        for system in self.systems:
            system.stop()
        self.model.kill()
        self.model.wait()
        prefer(0)


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def machine(atlas):
    """What the figures hold for."""
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    os_name = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": os.cpu_count(),
            "virtual": "hypervisor" in flags,
            "memory_gib": round(int(memory.group(1)) / 1048576),
            "kernel": platform.release().split("-")[0],
            "system": os_name.group(1) if os_name else platform.system(),
            "open_files": CORES.files,
            "nginx": first_line("/usr/sbin/nginx", "-v").replace("nginx version: nginx/", ""),
            "haproxy": first_line("/usr/sbin/haproxy", "-v").split()[2],
            "wrk": first_line("wrk", "-v").split()[1],
            "atlas": first_line(str(atlas), "version").replace("atlas ", "")}


# ---- instructions, which do not depend on what else the machine does ----

def counted(system, load, body, calls):
    """Instructions of a whole run of `calls` calls under callgrind, 32 at a time."""
    out = system.folder / "callgrind"
    for old in system.folder.glob("callgrind.*"):
        old.unlink()
    try:
        system.start_counted(["valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                              f"--callgrind-out-file={out}.%p"])
        done = load.exactly(system, body, calls)["done"]
    finally:
        system.stop()
    if done != calls:
        sys.exit(f"bench: {system.name}: {done} of {calls} calls were answered")
    return sum(int(re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.M).group(1))
               for file in system.folder.glob("callgrind.*"))


def instructions_a_call(system, load, body, few=400, many=2400):
    """In user space, of all threads: the difference of two runs of different length."""
    return round((counted(system, load, body, many) - counted(system, load, body, few)) / (many - few))


def instructions(world, load, chat_body):
    out = {}
    for name, size in (("1.7 kB", 1700), ("100 kB", 100000)):
        out[name] = {}
        for system in world.systems:
            if system.name not in ("nginx", "atlas"):
                continue
            system.stop()
            out[name][system.name] = instructions_a_call(system, load, chat_body(size))
            system.start()
    return out
