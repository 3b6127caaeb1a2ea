# SPDX-License-Identifier: Apache-2.0
"""Models in a file of their own; commands that need no more of the configuration than where the data folder is."""
import json

import pytest

from harness.processes import run


def test_models_of_a_file_of_their_own_are_served_and_change_with_a_reload(make_gateway, sim, tmp_path):
    models = tmp_path / "models.yaml"
    models.write_text("models: {first: {upstream: u}}\n")
    gateway = make_gateway({"models_file": str(models), "upstreams": {"u": {"url": sim.base}}})
    assert gateway.chat("first").status_code == 200
    models.write_text("models: {second: {upstream: u}}\n")
    gateway.reload()
    assert (gateway.chat("first").status_code, gateway.chat("second").status_code) == (404, 200)
    models.write_text("models: {second: {upstream: nobody}}\n")
    checked = gateway.command("config", "check")
    assert checked.returncode == 1 and f"{models}:1:29: there is no upstream 'nobody'" in checked.stderr
    gateway.announce("reload_refused", "config")
    gateway.reload(expect="reload_refused")
    assert gateway.chat("second").status_code == 200


COMMANDS = [["key", "list"], ["usage"], ["journal", "print"], ["journal", "check"], ["status"]]


@pytest.mark.parametrize("broken", ["upstreams: {u: {url: 7}}\n", "models_file: nowhere.yaml\n", "upstreams: [\n", "zone: 'x\n"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_needs_only_the_data_folder_of_a_configuration_that_is_broken(served, tmp_path, command, broken):
    config = tmp_path / "atlas.yaml"
    config.write_text(f"{broken}data: {json.dumps(str(served.data))}\n")
    done = run(*command, "--config", config)
    assert done.returncode == 0, done.stderr


def test_a_key_is_revoked_with_a_configuration_that_is_broken(served, tmp_path):
    key = served.new_key("gone")
    config = tmp_path / "atlas.yaml"
    config.write_text(f"data: {json.dumps(str(served.data))}\nlisten: [\n")
    assert run("key", "revoke", key["id"], "--config", config).returncode == 0
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert served.request("POST", "/v1/chat/completions", key=key["key"], json=body).status_code == 401


@pytest.fixture(scope="module")
def served(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
