# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/ are configurations that Atlas takes."""
import json
import pathlib

import pytest

from harness.processes import run

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples"
CONFIGURATIONS = sorted(path.name for path in EXAMPLES.glob("*.yaml") if path.name != "routing.yaml")


def test_each_kind_of_server_has_an_example():
    kinds = {path.name: path.read_text().count("kind: ") for path in EXAMPLES.glob("*.yaml")}
    assert {"vllm.yaml", "llama-cpp.yaml", "sglang.yaml", "ollama.yaml"} <= set(kinds)
    assert all(kinds[name] for name in CONFIGURATIONS)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_an_example_is_a_valid_configuration(name):
    for command in ("config", "route"):
        said = run(command, "check", "--config", EXAMPLES / name)
        assert (said.returncode, said.stderr) == (0, ""), said.stderr


@pytest.mark.parametrize("name,known", [
    ("vllm.yaml", {"arabic-large": "Falcon-H1-34B", "general-large": "Llama-3.3-70B"}),
    ("sglang.yaml", {"jais-70b": "Jais-2-70B"}),
    ("llama-cpp.yaml", {"qwen2.5-7b": "Qwen2.5-7B", "e5-large": "multilingual-e5-large"}),
    ("ollama.yaml", {"general-small": "Llama-3.2-3B", "ollama/*": None}),
])
def test_an_example_names_its_models_and_servers_and_the_catalogue_knows_the_rest(name, known):
    told = json.loads(run("models", "list", "--json", "--config", EXAMPLES / name).stdout)
    assert {model["name"]: model["known_as"] for model in told["models"]} == known
    assert all(model["context"] and model["endpoints"] and model["inputs"] for model in told["models"] if model["known_as"])
    assert "context:" not in (EXAMPLES / name).read_text()


@pytest.mark.parametrize("content,headers,policy", [
    ("ما هي عاصمة المملكة العربية السعودية؟", {}, "arabic-native"),
    ("What is the capital of France?", {"X-Route-Policy": "local-only"}, "general; local-only"),
])
def test_the_examples_rules_do_what_they_say(content, headers, policy):
    body = {"request": {"model": "auto-router", "messages": [{"role": "user", "content": content}]}, "headers": headers, "at": 1798797600}
    said = run("route", "explain", "--json", "--config", EXAMPLES / "vllm.yaml", input=json.dumps(body))
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert (told["policy"], told["chosen"]["model"]) == (policy, "arabic-large")
