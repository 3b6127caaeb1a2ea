# SPDX-License-Identifier: Apache-2.0
"""Certificates that are missing, swapped, of another key or out of date: said before calls feel it."""
import os
import pathlib

import pytest

from harness.certificates import Authority
from harness.processes import run
from harness.upstream import Upstream
from harness.waiting import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def check(folder, certificate, key):
    path = folder / "atlas.yaml"
    path.write_text(f"data: {folder}/data\nlisten:\n  - address: 127.0.0.1:8443\n    tls:\n      certificate: {certificate}\n      key: {key}\n")
    said = run("config", "check", "--config", path)
    return said.returncode, said.stderr.replace(f"{path}:", "")


def test_config_check_looks_at_certificates(tmp_path, authority):
    good, key = authority.issue("localhost", file="good")
    _, other = authority.issue("localhost", file="other")
    old, old_key = authority.issue("localhost", file="old", days=-1)
    assert check(tmp_path, good, key)[0] == 0
    for pair, wanted in (((f"{tmp_path}/no.crt", key), f"5:20: certificate {tmp_path}/no.crt: No such file"),
                         ((good, f"{tmp_path}/no.key"), f"5:20: key {tmp_path}/no.key: No such file"),
                         ((good, other), "5:20: key"),
                         ((key, good), f"5:20: {key} holds a key and {good} a certificate: give each the other's place"),
                         ((old, old_key), f"5:20: {old} expired ")):
        status, said = check(tmp_path, *pair)
        assert status == 1, pair
        assert wanted in said


def test_config_check_and_doctor_look_at_the_authorities_of_upstreams(tmp_path, authority):
    _, key = authority.issue("localhost", file="upstream")
    path = tmp_path / "atlas.yaml"
    for file, wanted in ((f"{tmp_path}/no.pem", "No such file"), (key, "ca_file"), (str(authority.certificate), None)):
        path.write_text(f"data: {tmp_path}/data\nupstreams:\n  u:\n    url: https://localhost:1/v1\n    ca_file: {file}\n")
        said = run("config", "check", "--config", path)
        assert said.returncode == (0 if wanted is None else 1), file
        assert wanted is None or (f"{path}:5:14: CA file {file}: " in said.stderr and wanted in said.stderr)


def test_a_pipe_in_place_of_a_file_makes_no_command_wait(tmp_path):
    data, pipe = tmp_path / "data", tmp_path / "pipe"
    path = tmp_path / "atlas.yaml"
    os.mkfifo(pipe)
    path.write_text(f"data: {data}\n")
    assert run("init", "--config", path).returncode == 0
    assert run("key", "create", "--config", path, "--name", "k").returncode == 0
    plain = f"data: {data}\nadmin: {{ address: '127.0.0.1:0' }}\n"
    for config in (f"listen:\n  - address: 127.0.0.1:0\n    tls: {{ certificate: {pipe}, key: {pipe} }}\n",
                   f"upstreams:\n  u: {{ url: 'https://localhost:1/v1', ca_file: {pipe} }}\n"):
        path.write_text(plain + config)
        for command in (("config", "check"), ("doctor",)):
            said = run(*command, "--config", path)
            assert said.returncode == 1
            assert "it is a named pipe, not a file" in said.stdout + said.stderr
    path.write_text(plain)
    (data / "atlas.db").unlink()
    os.mkfifo(data / "atlas.db")
    for command in (("doctor",), ("key", "list"), ("usage",), ("serve",)):
        said = run(*command, "--config", path)
        assert said.returncode == 1, command
    assert "it is a named pipe, not a file" in run("doctor", "--config", path).stdout


def test_serve_and_reload_warn_of_a_certificate_that_ends_soon(make_gateway, authority, tmp_path):
    def install(days):
        made = authority.issue("localhost", file=f"days{days}", days=days)
        for source, name in zip(made, ("used.crt", "used.key")):
            (tmp_path / name).write_bytes(pathlib.Path(source).read_bytes())
    install(3)
    listen = [{"address": "127.0.0.1:0"},
              {"address": "127.0.0.1:0", "tls": {"certificate": str(tmp_path / "used.crt"), "key": str(tmp_path / "used.key")}}]
    gateway = make_gateway({"listen": listen})
    gateway.announce("certificate_expiring")
    until(lambda: "used.crt: it expires in " in gateway.log())
    assert gateway.metrics()['atlas_health_problems{kind="certificate_expiring"}'] == 1
    install(90)
    gateway.reload()
    until(lambda: gateway.metrics()['atlas_health_problems{kind="certificate_expiring"}'] == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_doctor_tells_a_folder_that_may_not_be_entered_from_one_that_is_not_there(tmp_path):
    inside = pathlib.Path(f"/tmp/atlas-doctor-{os.getpid()}")
    (inside / "closed").mkdir(parents=True)
    try:
        (inside / "closed").chmod(0o700)
        (inside / "atlas.yaml").write_text(f"data: {inside}/closed/data\n")
        inside.chmod(0o755)
        said = run("doctor", "--config", inside / "atlas.yaml", user=65534, group=65534, extra_groups=[]).stdout
        assert "may not go there" in said
        assert "makes it" not in said.split("data folder:")[1].splitlines()[0]
    finally:
        for path in (inside / "closed", inside / "atlas.yaml"):
            path.rmdir() if path.is_dir() else path.unlink()
        inside.rmdir()


def test_doctor_tells_what_is_wrong_with_urls_reach_and_keys(tmp_path, authority, make_sim):
    sim = make_sim()
    path = tmp_path / "atlas.yaml"
    plain = sim.base.replace("http:", "https:")
    path.write_text(f"""data: {tmp_path}/data
listen: [{{address: '0.0.0.0:0'}}]
admin: {{address: '0.0.0.0:0'}}
upstreams:
  twice: {{url: '{sim.base}/v1'}}
  whole: {{url: '{sim.base}/chat/completions'}}
  plain: {{url: '{plain}'}}
  keyed:
    url: '{sim.base}'
    api_key: sk-in-the-file
""")
    path.chmod(0o644)
    checked = run("config", "check", "--config", path)
    assert checked.returncode == 1
    assert f"{path}:5:16: upstreams.twice.url has /v1 twice" in checked.stderr
    assert f"{path}:6:16: upstreams.whole.url ends in /chat/completions" in checked.stderr
    assert run("init", "--config", path).returncode == 0
    said = run("doctor", "--config", path).stdout
    assert f"FAIL  upstream twice: {sim.base}/v1 has /v1 twice" in said
    assert f"FAIL  upstream whole: {sim.base}/chat/completions ends in /chat/completions, which Atlas adds itself" in said
    of_plain = next(line for line in said.splitlines() if "upstream plain" in line)
    assert "plain HTTP" in of_plain and "begin `url:` with http://" in of_plain, of_plain
    assert f"other users may read {path}, and line 10 holds a key" in said
    assert "sk-in-the-file" not in said
    assert "warn  listen: 0.0.0.0:0 takes keys and prompts from other machines in the clear" in said
    assert "warn  admin: 0.0.0.0:0 takes admin keys from other machines in the clear" in said
    path.chmod(0o600)
    assert "holds a key" not in run("doctor", "--config", path).stdout


def test_doctor_tells_a_port_of_another_atlas_and_a_folder_that_another_uses(tmp_path, make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    path = tmp_path / "other.yaml"
    path.write_text(f"data: {tmp_path}/data\nlisten: [{{address: '127.0.0.1:{gateway.port}'}}]\nadmin: {{address: '127.0.0.1:0'}}\n")
    assert run("init", "--config", path).returncode == 0
    said = run("doctor", "--config", path).stdout
    assert f"FAIL  listen: 127.0.0.1:{gateway.port} is held by atlas" in said
    assert "an Atlas of another data folder — stop it, or choose another port" in said
    path.write_text(f"data: {gateway.data}\nlisten: [{{address: '127.0.0.1:0'}}]\nadmin: {{address: '127.0.0.1:0'}}\n")
    said = run("doctor", "--config", path).stdout
    assert f"FAIL  data folder: {gateway.data} is used by atlas (process {gateway.process.pid}), which does not listen where" in said


def test_doctor_tells_that_a_plain_url_meets_tls(tmp_path, authority):
    server = Upstream(tls=authority.issue("localhost", file="server"))
    path = tmp_path / "atlas.yaml"
    path.write_text(f"data: {tmp_path}/data\nupstreams: {{u: {{url: 'http://127.0.0.1:{server.port}/v1'}}}}\n")
    try:
        said = run("doctor", "--config", path).stdout
    finally:
        server.close()
    assert "where it speaks TLS, begin `url:` with https://" in said
