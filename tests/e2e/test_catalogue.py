# SPDX-License-Identifier: Apache-2.0
"""The catalogue of models: a model and a server are named, and the rest is known."""
import json

import pytest

from harness.processes import run

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOL = {"type": "function", "function": {"name": "f"}}


def models(sim, **names):
    """Models at the simulated server, each by what the server calls it."""
    return {"upstreams": {"u": {"url": sim.base}},
            "models": {name: {"upstream": "u", **(said if isinstance(said, dict) else {"upstream_name": said})} for name, said in names.items()}}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway(models(
        sim, jais="inceptionai/jais-family-590m-chat", eyes="Qwen/Qwen2.5-VL-7B-Instruct-AWQ", gemma="gemma2:9b", vectors="BAAI/bge-m3",
        llama="hf.co/x/Llama-3.1-8B-Instruct-GGUF:Q4_K_M", unknown="whatever", toolless={"upstream_name": "qwen3:8b", "tools": "false"},
        free={"upstream_name": "inceptionai/jais-family-590m-chat", "catalogue": "none"}))


def ask(gateway, model, content="hello there, my friend", status=200, **members):
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 5, **members}
    got = gateway.post("/v1/chat/completions", body)
    assert got.status_code == status, got.text
    return got.json()


def looking(text="What is in this picture?"):
    return [{"type": "text", "text": text}, PICTURE]


# ---- what is taken ----

def test_a_model_without_context_refuses_what_the_catalogue_says_is_too_long(gateway):
    def complete(model, tokens):
        return gateway.post("/v1/completions", {"model": model, "prompt": [7] * tokens, "max_tokens": 1})

    assert complete("jais", 2040).status_code == 200
    refused = complete("jais", 2049)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert complete("free", 2049).status_code == 200
    assert complete("unknown", 2049).status_code == 200


def test_a_model_serves_the_endpoints_that_it_is_made_for(gateway):
    assert gateway.post("/v1/embeddings", {"model": "vectors", "input": "x"}).status_code == 200
    assert ask(gateway, "vectors", status=400)["error"]["param"] == "model"
    assert gateway.post("/v1/embeddings", {"model": "llama", "input": "x"}).status_code == 400
    assert gateway.post("/v1/embeddings", {"model": "unknown", "input": "x"}).status_code == 200


def test_what_was_taken_is_listed_as_a_models_length(gateway):
    lengths = {model["id"]: model.get("max_model_len") for model in gateway.request("GET", "/v1/models").json()["data"]}
    assert (lengths["jais"], lengths["llama"], lengths["unknown"], lengths["free"]) == (2048, 131072, None, None)


# ---- images and tools ----

def test_an_image_goes_to_the_model_that_takes_it(make_gateway, sim):
    gateway = make_gateway(models(sim, jais="jais-family-590m", eyes="qwen2.5vl:7b", gemma="gemma2:9b"))
    for stream in (False, True):
        got = gateway.post("/v1/chat/completions", {"model": "auto", "messages": [{"role": "user", "content": looking()}], "stream": stream})
        assert got.status_code == 200 and '"model":"eyes"' in got.text, got.text
    gateway.reload({**gateway.config, "models": {name: gateway.config["models"][name] for name in ("jais", "gemma")}})
    error = ask(gateway, "auto", looking(), status=400)["error"]
    assert (error["code"], error["param"], error["message"]) == ("capability_missing", "messages", "no model is left that takes images")


def test_a_named_model_that_takes_no_images_says_so(gateway, sim):
    error = ask(gateway, "jais", looking(), status=400)["error"]
    assert (error["code"], error["param"], error["message"]) == ("capability_missing", "messages", "this model takes no images")
    for model in ("eyes", "unknown", "free"):
        assert ask(gateway, model, looking())["model"] == model


def test_tools_are_refused_where_the_operator_says_so_and_passed_over_where_the_catalogue_does(gateway, make_gateway, sim):
    error = ask(gateway, "toolless", tools=[TOOL], status=400)["error"]
    assert (error["code"], error["param"], error["message"]) == ("capability_missing", "tools", "this model calls no tools")
    assert ask(gateway, "toolless", tools=[])["model"] == "toolless"
    assert ask(gateway, "gemma", tools=[TOOL])["model"] == "gemma"  # its caller may know better
    other = make_gateway(models(sim, gemma="gemma2:9b", llama="llama3.2:1b"))
    assert ask(other, "auto")["model"] == "gemma"  # of the higher tier
    assert ask(other, "auto", tools=[TOOL])["model"] == "llama"


def test_a_large_body_is_looked_at_too(gateway):
    text = "word " * 40000
    assert ask(gateway, "jais", looking(text), status=400)["error"]["code"] == "capability_missing"
    assert ask(gateway, "eyes", looking(text))["model"] == "eyes"


def test_a_rule_may_ask_for_a_tier(make_gateway, sim, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("routes:\n  - {name: best, condition: has_tools, profile: cost, min_tier: 4}\n  - {name: good, profile: cost, min_tier: 3}\n")
    gateway = make_gateway({"routing": str(path), **models(sim, small="llama3.2:1b", fair="qwen2.5:7b")})
    assert ask(gateway, "auto")["model"] == "fair"
    error = ask(gateway, "auto", tools=[TOOL], status=400)["error"]
    assert (error["code"], error["message"]) == ("capability_missing", "no model is left of tier 4 or higher, which rule 'best' asks for")
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "tools": [TOOL]}
    told = run("route", "explain", "--json", "--config", gateway.config_path, input=json.dumps(body))
    assert {c["excluded"] for c in json.loads(told.stdout)["candidates"]} == {"capability_missing"}


# ---- what the operator is shown ----

@pytest.fixture
def config(tmp_path):
    path = tmp_path / "atlas.yaml"
    path.write_text("upstreams: {u: {url: \"http://127.0.0.1:9/v1\"}}\n"
                    "models:\n"
                    "  arabic: {upstream: u, upstream_name: tiiuae/Falcon-H1-34B-Instruct, context: 8192}\n"
                    "  ours: {upstream: u}\n")
    return path


def test_the_check_says_what_was_taken(config):
    said = run("config", "check", "--config", config)
    assert (said.returncode, said.stderr) == (0, "")
    assert "\nmodels.arabic is Falcon-H1-34B of the catalogue: endpoints [chat, completions], inputs [text], tier 4, languages [ar, " in said.stdout
    assert "context" not in said.stdout and "models.ours" not in said.stdout


def test_the_catalogue_is_listed_and_shown(config):
    listed = run("models", "list", "--config", config)
    assert listed.returncode == 0 and listed.stderr == ""
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert ["arabic", "Falcon-H1-34B"] == [line for line in lines if line[:1] == ["arabic"]][0][:2]
    assert ["bge-m3", "568M", "8192", "4"] in [line[:4] for line in lines]
    told = json.loads(run("models", "list", "--json", "--config", config).stdout)
    assert [(model["name"], model["known_as"]) for model in told["models"]] == [("arabic", "Falcon-H1-34B"), ("ours", None)]
    assert {"name", "own", "family", "licence", "tier"} <= set(told["catalogue"][0])
    for name in ("arabic", "falcon-h1-34b-instruct-q4_k_m.gguf"):
        shown = run("models", "show", name, "--config", config)
        assert shown.stdout.startswith("name        Falcon-H1-34B\n") and "configured  arabic takes endpoints" in shown.stdout
    one = json.loads(run("models", "show", "--json", "gpt-oss:20b", "--config", config).stdout)
    assert one["models"] == [] and one["entry"]["tools"] is True and one["entry"]["licence"] == "Apache-2.0"
    unknown = run("models", "show", "bge-m4", "--config", config)
    assert (unknown.returncode, unknown.stderr) == (1, "atlas models show: the catalogue has no model 'bge-m4' — did you mean 'bge-m3'?\n")


def test_without_a_configuration_the_catalogue_is_shown_all_the_same(tmp_path):
    shown = run("models", "show", "bge-m3", "--config", tmp_path / "none.yaml")
    assert shown.returncode == 0 and "dimensions  1024" in shown.stdout and "there is no" in shown.stderr


def test_the_operators_own_file_holds_and_changes_with_a_reload(make_gateway, sim, tmp_path):
    path = tmp_path / "catalogue.yaml"
    path.write_text("models:\n  Bank-7B: {names: [bank-*], context: 9, endpoints: [completions]}\n")
    gateway = make_gateway({"catalogue": str(path), **models(sim, m="x/Bank-7B-v2-GGUF")})

    def complete():
        return gateway.post("/v1/completions", {"model": "m", "prompt": list(range(10)), "max_tokens": 1}).status_code

    assert complete() == 400
    path.write_text("models:\n  Bank-7B: {names: [bank-*], context: 99, endpoints: [completions]}\n")
    gateway.reload(gateway.config)
    assert complete() == 200
    path.write_text("models:\n  Bank-7B: {contxt: 99}\n")
    said = run("config", "check", "--config", gateway.config_path)
    assert said.returncode == 1 and said.stderr.startswith(f"{path}:2:13: unknown setting 'models.Bank-7B.contxt'")
