# SPDX-License-Identifier: Apache-2.0
"""What a reload reads, and that nobody waits for it."""
import os
import pathlib
import shutil
import signal
import time

import pytest

from harness.certificates import Authority
from harness.processes import SANITIZED, SLOWER, get
from harness.upstream import Upstream
from harness.waiting import until

MANY = 20 if SANITIZED else 300


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def bundle(authority, tmp_path_factory):
    """As large as a system's: 150 authorities, ours behind them."""
    path = tmp_path_factory.mktemp("bundle") / "bundle.pem"
    folder = tmp_path_factory.mktemp("others")
    others = []
    for i in range(15):
        (folder / str(i)).mkdir()
        others.append(Authority(folder / str(i), f"Authority {i}").certificate.read_text())
    path.write_text("".join(others * 10) + authority.certificate.read_text())
    return path


def upstreams(count, ca_file):
    return {f"u{i}": {"url": "https://127.0.0.1:1/v1", "ca_file": str(ca_file(i))} for i in range(count)}


def models(count):
    return {f"m{i}": {"upstream": f"u{i}"} for i in range(count)}


def resident_mib(gateway):
    [pid] = gateway.children()
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_upstreams_of_one_ca_file_share_what_was_read_of_it(make_gateway, bundle):
    config = {"upstreams": upstreams(1, lambda i: bundle), "models": models(1)}
    gateway = make_gateway(config)
    before = resident_mib(gateway)
    gateway.reload({"upstreams": upstreams(MANY, lambda i: bundle), "models": models(MANY)})
    assert resident_mib(gateway) - before < 24 * SLOWER  # 253 MiB, when each had its own


def test_nobody_waits_for_a_reload_that_reads_hundreds_of_ca_files(make_gateway, bundle, tmp_path):
    def copy(i):
        path = tmp_path / f"{i}.pem"
        if not path.exists():
            shutil.copy(bundle, path)
        return path

    gateway = make_gateway({"upstreams": upstreams(1, copy), "models": models(1)})
    gateway.write({"upstreams": upstreams(MANY, copy), "models": models(MANY)})
    gateway.process.send_signal(signal.SIGHUP)
    worst, looks = 0, 0
    while not gateway.count_log("reloaded"):
        begun = time.monotonic()
        assert get(gateway.admin_url + "/readyz").status_code == 200
        worst = max(worst, time.monotonic() - begun)
        looks += 1
    assert looks > 1 and worst < 0.5 * SLOWER


def test_a_ca_file_that_was_written_anew_is_believed_from_the_next_reload_on(make_gateway, authority, tmp_path):
    (tmp_path / "next").mkdir()
    successor = Authority(tmp_path / "next", "The next authority")
    server = Upstream(successor.issue("localhost"))
    believed = tmp_path / "believed.pem"
    shutil.copy(authority.certificate, believed)
    gateway = make_gateway({"upstreams": {"u": {"url": server.url, "ca_file": str(believed)}}, "models": {"m": {"upstream": "u"}}})
    try:
        gateway.announce("call_failed")
        assert gateway.chat("m").status_code == 502
        gateway.reload()  # nothing has changed
        assert gateway.chat("m").status_code == 502
        shutil.copy(successor.certificate, believed)
        gateway.reload()
        assert gateway.chat("m").status_code == 200
        shutil.copy(authority.certificate, believed)  # no connection made under the other one serves on
        gateway.reload()
        assert gateway.chat("m").status_code == 502
    finally:
        server.close()


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("upstream_of", [
    lambda pipe: {"url": "http://127.0.0.1:1/v1", "api_key": f"file:{pipe}"},
    lambda pipe: {"url": "https://127.0.0.1:1/v1", "ca_file": str(pipe)},
], ids=["secret", "ca_file"])
def test_a_pipe_where_a_file_should_be_is_refused_by_a_reload_and_stops_nothing(make_gateway, pipe, upstream_of):
    gateway = make_gateway({})
    before = gateway.config
    gateway.announce("config", "policy", "reload_refused")
    gateway.reload({"upstreams": {"u": upstream_of(pipe)}, "models": {"m": {"upstream": "u"}}}, expect="reload_refused")
    assert "it is a named pipe, not a file" in gateway.log()
    gateway.reload(before)
    assert gateway.stop() == 0


def test_a_pipe_in_place_of_the_configuration_is_refused_by_a_reload(make_gateway):
    gateway = make_gateway({})
    gateway.announce("config", "reload_refused")
    gateway.config_path.unlink()
    os.mkfifo(gateway.config_path)
    gateway.reload(expect="reload_refused")
    assert "it is a named pipe, not a file" in gateway.log()
    assert gateway.stop() == 0


def test_a_pipe_in_place_of_a_certificate_is_refused_by_the_start(make_gateway, pipe):
    gateway = make_gateway({})
    gateway.stop()
    gateway.announce("tls", "start", "start_failed")
    gateway.write({"listen": [{"address": "127.0.0.1:0", "tls": {"certificate": str(pipe), "key": str(pipe)}}]})
    gateway.start(ready=False)
    until(lambda: gateway.process.poll() is not None, 10 * SLOWER, "the end")
    assert gateway.process.returncode == 1
    assert "it is a named pipe, not a file" in gateway.log()
    gateway.write({})
    gateway.start()


def test_a_pipe_in_place_of_a_certificate_is_refused_by_a_reload_and_stops_nothing(make_gateway, pipe, authority):
    made = authority.issue("localhost", file="replaced")
    tls = {"certificate": str(made[0]), "key": str(made[1])}
    gateway = make_gateway({"listen": [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0", "tls": tls}]})
    gateway.announce("tls", "config", "reload_refused")
    for file in made:
        os.rename(file, f"{file}.kept")
        os.symlink(pipe, file)
    gateway.reload(expect="reload_refused")
    assert "it is a named pipe, not a file" in gateway.log()
    assert gateway.metrics()
    for file in made:
        os.replace(f"{file}.kept", file)
    gateway.reload()
