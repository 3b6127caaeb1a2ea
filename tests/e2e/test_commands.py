# SPDX-License-Identifier: Apache-2.0
"""init, config check, doctor, version: what they say, and how they end."""
import contextlib
import json
import os
import re
import resource
import socket
import sqlite3

import pytest

from harness.certificates import Authority
from harness.processes import run
from harness.upstream import Upstream, reply


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture
def folder(tmp_path):
    """A data folder that init made, and a line that names it."""
    config = write(tmp_path / "atlas.yaml", f"data: {tmp_path}/data\n")
    assert run("init", "--config", config).returncode == 0
    return tmp_path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def config_of(folder, text=""):
    return write(folder / "atlas.yaml", f"data: {folder}/data\nlisten: [{{address: '127.0.0.1:{free_port()}'}}]\n"
                                        f"admin: {{address: '127.0.0.1:{free_port()}'}}\n{text}")


# ---- init ----

def test_init_writes_a_commented_configuration_and_makes_the_data_folder(tmp_path):
    config = tmp_path / "new" / "atlas.yaml"
    config.parent.mkdir()
    made = run("init", "--config", config)
    assert made.returncode == 0, made.stderr
    text = config.read_text()
    assert text.count("#") > 40
    for setting in ("zone", "region", "data", "listen", "upstreams", "models", "client", "log", "journal"):
        assert re.search(rf"^#?\s*{setting}:", text, re.M), setting
    [data] = re.findall(r"^data: (\S+)", text, re.M)
    data = (config.parent / data).resolve()
    assert {"atlas.db", "pepper"} <= set(os.listdir(data))
    assert (data / "pepper").stat().st_mode & 0o777 == 0o600
    assert run("config", "check", "--config", config).returncode == 0


def test_init_keeps_what_is_there(folder):
    before = {name: (folder / "data" / name).read_bytes() for name in ("pepper", "atlas.db")}
    text = (folder / "atlas.yaml").read_text()
    assert run("init", "--config", folder / "atlas.yaml").returncode == 0
    assert {name: (folder / "data" / name).read_bytes() for name in before} == before
    assert (folder / "atlas.yaml").read_text() == text


@pytest.mark.parametrize("data", ["", "two\nlines"])
def test_init_refuses_a_path_that_no_line_can_hold(tmp_path, data):
    made = run("init", "--config", tmp_path / "atlas.yaml", "--data", data)
    assert made.returncode == 2
    assert "--data" in made.stderr
    assert os.listdir(tmp_path) == []


def test_init_refuses_a_folder_that_is_something_else(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    made = run("init", "--config", write(tmp_path / "atlas.yaml", f"data: {tmp_path}/data\n"))
    assert made.returncode != 0
    assert "data" in made.stderr
    assert os.listdir(tmp_path / "data") == ["thesis.txt"]


# ---- help ----

def rows_of(page):
    return re.findall(r"^  ([a-z]+) +\S", page, re.M)


def test_all_help_fits_eighty_columns():
    pages = {(): run("help").stdout}
    for name in rows_of(pages[()]):
        pages[name,] = run("help", name).stdout
        for action in rows_of(pages[name,]) if f"atlas {name} ACTION" in pages[name,] else ():
            pages[name, action] = run("help", name, action).stdout
    assert len(pages) > 20 and all(pages.values())
    assert [line for page in pages.values() for line in page.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("noun,actions", [
    ("organisation", "create list show edit end"), ("team", "create list show edit end"), ("user", "create list show edit end"),
    ("key", "create list show edit revoke delete"), ("limit", "set list show end"), ("budget", "set list show edit end"),
    ("plan", "set list show end"), ("price", "set list show end"), ("eval", "create list show end")])
def test_every_command_of_a_noun_takes_a_configuration_and_says_json(folder, noun, actions):
    assert set(rows_of(run("help", noun).stdout)) >= set(actions.split())
    for action in actions.split():
        page = run("help", noun, action).stdout
        assert "  --config FILE " in page and "  --json " in page, (noun, action)
        assert run(noun, action, "--nonsense").returncode == 2
    listed = run(noun, "list", "--json", "--config", folder / "atlas.yaml")
    assert (listed.returncode, listed.stderr) == (0, "") and json.loads(listed.stdout)["object"] == "list"


def test_an_option_before_the_command_is_told_where_options_stand(folder):
    said = run("--config", folder / "atlas.yaml", "serve")
    assert said.returncode == 2
    assert "--config stands before a command" in said.stderr


# ---- config check ----

def test_a_good_configuration_is_valid(folder):
    checked = run("config", "check", "--config", config_of(folder))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "is valid" in checked.stdout


BAD = [
    ("client:\n  bodymax: 1MiB\n", "5:3", "body_max"),
    ("upstrems: {}\n", "4:1", "upstreams"),
    ("zone: [1]\n", "4:7", "zone"),
    ("workers: many\n", "4:10", "whole number"),
    ("workers: 1000\n", "4:10", "256"),
    ("log: {level: loud}\n", "4:14", "debug, info, warn, error"),
    ("client: {head_timeout: 5 parsecs}\n", "4:24", "duration"),
    ("models:\n  m: {upstream: u}\n", "5:", "u"),
    ("upstreams:\n  u: {url: 'http://h/v1', kind: vlm}\n", "5:", "vllm"),
    ("upstreams:\n  u: {kind: vllm}\n", "5:", "url"),
    ("upstreams:\n  u: {url: 'http://h/v1', api_key: '${NO_SUCH_VARIABLE}'}\n", "5:", "NO_SUCH_VARIABLE"),
    ("upstreams:\n  u: {url: 'http://h/v1', api_key: 'file:/no/such/file'}\n", "5:", "/no/such/file"),
    ("zone: one\nzone: two\n", "5:1", "zone"),
    ("models: {m: {upstream: u, aliases: [a, a]}}\nupstreams: {u: {url: 'http://h/v1'}}\n", "4:", "a"),
    ("zone: &x a\n", "4:", ""),
    ("upstreams:\n  u: {url: 'http://h/v1', api_key: '${EMPTY}'}\n", "5:", "EMPTY is empty"),
    ("upstreams:\n  u: {url: 'http://h/v1', api_key: 'file:big'}\n", "5:", "big holds more than 4096 bytes"),
    ("upstreams:\n  u: {url: 'http://me:sk-secret-2@h/v1'}\n", "5:", "`api_key:`"),
    ("models: {m: {upstream: u}}\nupstreams:\n  - u: {url: 'http://h/v1'}\n", "6:3", "upstreams takes a mapping"),
    ("zone: 'a\n", "", ""),
]


@pytest.mark.parametrize("text,place,word", BAD)
def test_a_bad_setting_is_named_with_its_place_and_what_would_be_right(folder, text, place, word):
    path = config_of(folder, text)
    (folder / "big").write_text("sk-secret-3" * 1000)
    for command in (["config", "check"], ["serve"]):
        said = run(*command, "--config", path, env={"EMPTY": ""})
        assert said.returncode == 1
        assert f"{path}:{place}" in said.stderr, said.stderr
        assert word in said.stderr
        assert "secret" not in said.stderr.replace("a secret: ", "")


def test_a_unix_socket_is_no_address_to_listen_on(folder):
    path = write(folder / "atlas.yaml", f"data: {folder}/data\nlisten: [{{address: 'unix:/tmp/a.sock'}}]\n")
    said = run("config", "check", "--config", path)
    assert said.returncode == 1
    assert f"{path}:2:20: listen[0].address takes an address with its port" in said.stderr


def test_all_mistakes_are_named_at_once(folder):
    path = config_of(folder, "workers: x\nzoen: a\nclient: {body_max: 1}\n")
    said = run("config", "check", "--config", path).stderr
    assert [f"{path}:{line}:" in said for line in (4, 5, 6)] == [True] * 3


def test_a_configuration_that_is_not_there_says_so(tmp_path):
    said = run("config", "check", "--config", tmp_path / "none.yaml")
    assert said.returncode != 0
    assert "none.yaml" in said.stderr


def test_the_sample_is_valid_and_the_reference_is_the_page(tmp_path):
    sample = run("config", "sample")
    assert sample.returncode == 0
    assert run("config", "check", "--config", write(tmp_path / "a.yaml", sample.stdout)).returncode == 0
    assert run("config", "reference").stdout.startswith("# Settings")


def test_an_unprepared_data_folder_is_told_how_to_be_made(tmp_path):
    said = run("serve", "--config", write(tmp_path / "atlas.yaml", f"data: {tmp_path}/none\n"))
    assert said.returncode != 0
    assert "atlas init" in said.stderr


# ---- doctor ----

@pytest.fixture(scope="module")
def server():
    made = Upstream()
    yield made
    made.close()


def doctor(folder, text=""):
    said = run("doctor", "--config", config_of(folder, text))
    return said.returncode, said.stdout + said.stderr


def test_doctor_finds_nothing_to_mend_in_a_good_installation(folder, server):
    status, said = doctor(folder, f"upstreams: {{u: {{url: '{server.url}'}}}}\nmodels: {{m: {{upstream: u, upstream_name: served}}}}\n")
    assert status == 0, said
    assert "0 to mend" in said
    assert "lists 1 model" in said
    for what in ("configuration", "data folder", "store", "pepper", "disk", "clock", "open files", "listen", "admin"):
        assert what in said
    assert server.last.method == "GET"
    assert server.last.target == "/v1/models"


CASES = {}


def sick(name, mark="FAIL"):
    def named(function):
        CASES[name] = (function, mark)
        return function
    return named


@sick("a configuration with a mistake")
def _(folder, server):
    return "zoen: a\n", "zone"


@sick("a model that the server does not have", "warn")
def _(folder, server):
    return f"upstreams: {{u: {{url: '{server.url}'}}}}\nmodels: {{m: {{upstream: u}}}}\n", "does not list 'm'"


@sick("a server that is not there")
def _(folder, server):
    return f"upstreams: {{u: {{url: 'http://127.0.0.1:{free_port()}/v1'}}}}\nmodels: {{m: {{upstream: u}}}}\n", "u"


@sick("a server that refuses our key")
def _(folder, server):
    server.script(reply(401, {"error": "no"}))
    return f"upstreams: {{u: {{url: '{server.url}', api_key: sk-secret-1}}}}\nmodels: {{m: {{upstream: u}}}}\n", "refuses us"


@sick("a server whose url lacks its end", "warn")
def _(folder, server):
    server.script(reply(404, {"error": "no"}))
    return f"upstreams: {{u: {{url: '{server.url}'}}}}\nmodels: {{m: {{upstream: u}}}}\n", "/v1?"


@sick("a pepper that others may read")
def _(folder, server):
    (folder / "data" / "pepper").chmod(0o644)
    return "", "chmod 600"


@sick("another installation's pepper")
def _(folder, server):
    (folder / "data" / "pepper").unlink()
    other = folder / "other"
    other.mkdir()
    (other / "atlas.yaml").write_text("data: ./data\n")
    assert run("init", "--config", other / "atlas.yaml").returncode == 0
    (folder / "data" / "pepper").write_bytes((other / "data" / "pepper").read_bytes())
    (folder / "data" / "pepper").chmod(0o600)
    return "", "another installation's"


@sick("a key whose pepper is gone")
def _(folder, server):
    assert run("key", "create", "--name", "x", "--config", folder / "atlas.yaml").returncode == 0
    with contextlib.closing(sqlite3.connect(folder / "data" / "atlas.db")) as db, db:
        db.execute("UPDATE api_key SET pepper = 7")
    return "", "1 key made with a pepper"


@sick("a list of revoked keys that is gone", "warn")
def _(folder, server):
    (folder / "data" / "revoked").unlink()
    return "", "which keys were revoked, is missing"


@sick("a list of revoked keys that is a link")
def _(folder, server):
    (folder / "data" / "revoked").rename(folder / "elsewhere")
    (folder / "data" / "revoked").symlink_to(folder / "elsewhere")
    return "", "data/revoked, which says which keys were revoked, is no file of its own"


@sick("a list of revoked keys that is a pipe")
def _(folder, server):
    (folder / "data" / "revoked").unlink()
    os.mkfifo(folder / "data" / "revoked")
    return "", "data/revoked, which says which keys were revoked, is no file of its own"


@sick("a store that is gone")
def _(folder, server):
    (folder / "data" / "atlas.db").unlink()
    return "", "atlas init"


@sick("a store that is damaged")
def _(folder, server):
    (folder / "data" / "atlas.db").write_bytes(b"no database" * 1000)
    return "", "atlas.db is damaged"


@sick("a store of which a page is damaged")
def _(folder, server):
    path = folder / "data" / "atlas.db"
    whole = bytearray(path.read_bytes())
    whole[4096 * 2:4096 * 3] = bytes(range(256)) * 16
    path.write_bytes(whole)
    return "", "atlas.db is damaged"


@sick("a store of another program")
def _(folder, server):
    path = folder / "data" / "atlas.db"
    path.unlink()
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE thesis (page)")
    store.close()
    return "", "another program's"


@sick("a journal that is damaged")
def _(folder, server):
    (folder / "data" / "journal").mkdir()
    (folder / "data" / "journal" / "0000000000000001.seg").write_bytes(b"no journal" * 100)
    return "", "0000000000000001.seg is damaged at byte 0"


@sick("a journal that is gone")
def _(folder, server):
    with sqlite3.connect(folder / "data" / "atlas.db") as store:
        store.execute("INSERT OR REPLACE INTO meta VALUES ('journal_sequence', 7, '')")
    store.close()
    return "", "journal"


@sick("a log that cannot be written")
def _(folder, server):
    return "log: {access: /nowhere/access.log}\n", "log.access: /nowhere/access.log"


@sick("an open-file limit that serves nobody")
def _(folder, server):
    return "", "open files: the limit is 200"


@sick("a server whose certificate is out of date")
def _(folder, server):
    authority = Authority(folder)
    made = Upstream(tls=authority.issue("localhost", days=-1))
    return f"upstreams: {{u: {{url: '{made.url}', ca_file: '{authority.certificate}'}}}}\n", "has expired"


@sick("a server whose certificate is for another name")
def _(folder, server):
    authority = Authority(folder)
    made = Upstream(tls=authority.issue("elsewhere"))
    return f"upstreams: {{u: {{url: '{made.url}', ca_file: '{authority.certificate}'}}}}\n", "hostname mismatch"


@sick("a server whose list is none")
def _(folder, server):
    server.script(reply(200, {"data": 5}))
    return f"upstreams: {{u: {{url: '{server.url}'}}}}\n", "not with a list"


@sick("a server whose list holds odd things", "warn")
def _(folder, server):
    server.script(reply(200, {"data": [1, None, {"id": 5}, {"id": None}, {}, {"id": "odd"}]}))
    return f"upstreams: {{u: {{url: '{server.url}'}}}}\nmodels: {{m: {{upstream: u}}}}\n", "it lists odd"


@sick("a certificate for a further name that is out of date")
def _(folder, server):
    authority = Authority(folder)
    certificate, key = authority.issue("localhost", days=90)
    old, old_key = authority.issue("other", days=-1)
    return f"""listen:
  - address: '127.0.0.1:{free_port()}'
    tls: {{certificate: '{certificate}', key: '{key}', sni: [{{certificate: '{old}', key: '{old_key}'}}]}}
""", "other.crt expired"


@sick("an address that is somebody else's")
def _(folder, server):
    return f"listen: [{{address: '127.0.0.1:{server.port}'}}]\n", str(server.port)


@sick("a certificate that is out of date")
def _(folder, server):
    certificate, key = Authority(folder).issue("localhost", days=-1)
    return f"listen: [{{address: '127.0.0.1:{free_port()}', tls: {{certificate: '{certificate}', key: '{key}'}}}}]\n", "expired"


@sick("a certificate without its key")
def _(folder, server):
    certificate, _ = Authority(folder).issue("localhost")
    _, other = Authority(folder).issue("elsewhere")
    return f"listen: [{{address: '127.0.0.1:{free_port()}', tls: {{certificate: '{certificate}', key: '{other}'}}}}]\n", "key"


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_doctor_says_what_is_wrong_and_how_to_mend_it(folder, server, name):
    make, mark = CASES[name]
    text, word = make(folder, server)
    if "listen:" in text:
        path = write(folder / "atlas.yaml", f"data: {folder}/data\nadmin: {{address: '127.0.0.1:{free_port()}'}}\n{text}")
    else:
        path = config_of(folder, text)
    said = run("doctor", "--config", path, preexec_fn=few_files if "open-file" in name else None)
    everything = said.stdout + said.stderr
    server.scripts.clear()
    assert (said.returncode != 0) == (mark == "FAIL"), everything
    [line, *_] = [line for line in everything.splitlines() if line.startswith(mark) and word in line]
    assert "—" in line, "it does not say how to mend it"
    assert "secret" not in everything


def test_doctor_beside_a_running_gateway_finds_its_ports_held_by_it(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"sim": {"upstream": "u"}}})
    gateway.write({**gateway.config, "listen": [{"address": f"127.0.0.1:{gateway.port}"}],
                   "admin": {"address": gateway.admin_url.removeprefix("http://")}})
    said = gateway.command("doctor")
    assert said.returncode == 0, said.stdout
    assert "runs already" in said.stdout


# ---- the rest ----

def test_version_and_help(folder):
    version = run("version")
    assert version.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", version.stdout)
    for command in ("init", "serve", "key", "usage", "config", "journal", "sim", "doctor", "version"):
        said = run(command, "--help")
        assert (said.returncode, said.stderr) == (0, "")
        assert "usage: atlas" in said.stdout
        assert command in run("--help").stdout


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["serve", "--nonsense"], ["config"], ["config", "frobnicate"],
                                       ["sim", "--fault", "nonsense"], ["key", "list", "--json=no"], ["sim", "--tokens", "x"], ["journal", "eat"]])
def test_a_wrong_command_line_says_what_is_right(arguments):
    said = run(*arguments)
    assert said.returncode != 0
    assert len(said.stderr) > 20
    assert "atlas" in said.stderr


@pytest.mark.parametrize(("change", "word"), [("number + 1", "newer"), ("number - 1", "earlier")])
def test_a_store_of_another_atlas_is_left_alone(folder, change, word):
    path = folder / "data" / "atlas.db"
    with sqlite3.connect(path) as store:
        store.execute(f"UPDATE meta SET number = {change} WHERE name = 'version'")
        store.commit()
    store.close()
    before = path.read_bytes()
    said = run("key", "list", "--config", folder / "atlas.yaml")
    assert said.returncode != 0
    assert word in said.stderr
    assert path.read_bytes() == before


def test_help_of_a_command_is_what_its_option_help_prints():
    for words in (["key", "create"], ["serve"], ["journal"], ["sim"]):
        assert run("help", *words).stdout == run(*words, "--help").stdout != ""
    assert run("help").stdout == run("--help").stdout


@pytest.mark.parametrize("wrong,meant", [(["serv"], "serve"), (["hepl"], "help"), (["key", "crete"], "create"),
                                         (["key", "list", "--jsn"], "--json"), (["help", "key", "lst"], "list")])
def test_a_mistyped_word_is_answered_with_the_one_that_was_meant(wrong, meant):
    said = run(*wrong)
    assert said.returncode == 2
    assert f"did you mean '{meant}'?" in said.stderr


def test_the_environment_names_the_configuration_where_the_command_line_does_not(folder):
    config = config_of(folder)
    assert f"{config} is valid" in run("config", "check", env={"ATLAS_CONFIG": str(config)}).stdout
    said = run("config", "check", "--config", folder / "none.yaml", env={"ATLAS_CONFIG": str(config)})
    assert "none.yaml" in said.stderr
