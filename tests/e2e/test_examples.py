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
