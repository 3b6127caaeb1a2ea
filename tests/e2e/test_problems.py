# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a configuration: said where it is, in the words of who wrote it, and without secrets."""
import pytest

from harness.processes import run

SECRET = "sk-not-to-be-shown"
UP = "upstreams:\n  u:\n    url: http://127.0.0.1:1/v1\n"


def problems(folder, text, **env):
    path = folder / "atlas.yaml"
    path.write_text(text)
    said = run("config", "check", "--config", path, env=env)
    assert said.returncode == 1, said.stdout
    return said.stderr.replace(f"{path}:", "")


# ---- YAML ----

YAML = {
    "a tab before a name": ("zone: a\n\tregion: b\n", "2:1: this is a tab, and YAML indents with spaces only; put spaces in its place"),
    "a tab behind blanks": (UP + "    \tkind: vllm\n", "4:5: this is a tab"),
    "a line with too much indent": (UP + "     kind: vllm\n", "4:6: this line is indented by 5 and line 3, which has its value already, by 4; "
                                                              "give both the same indent"),
    "a line with the indent of none": ("upstreams:\n  u:\n      url: http://a/v1\n    kind: vllm\n",
                                       "4:5: this line is indented by 4, line 3 by 6 and line 2 by 2; give it the indent of the line it stands beside"),
    "a dash with the indent of none": ("listen:\n  - address: 127.0.0.1:1\n - address: 127.0.0.1:2\n",
                                       "3:2: this line is indented by 1, line 2 by 2 and line 1 by 0"),
    "a setting beside its item": ("upstreams:\n  u:\n  url: http://127.0.0.1:1/v1\n",
                                  "3:3: `url` stands beside the names of upstreams and not below one; indent this line deeper"),
    "a name without its colon": ("zone a\nregion: b\n", "1:1: `zone` has no `: ` behind it"),
    "a second colon": ("zone: a: b\n", "1:8: a second `: ` in one line; put the value in quotes"),
}


@pytest.mark.parametrize("name", YAML)
def test_what_is_no_yaml_is_explained_where_it_is(tmp_path, name):
    text, wanted = YAML[name]
    assert wanted in problems(tmp_path, text)


@pytest.mark.parametrize("line, wanted", [
    (UP + "    kind: VLLM\n", "4:11: upstreams.u.kind takes one of vllm,"),
    (UP + "    kind: VLLM\n", "not 'VLLM' — did you mean 'vllm'?"),
    (UP + "models: {m: {upstream: u, endpoints: [embedding]}}\n", "not 'embedding' — did you mean 'embeddings'?"),
    ("log: {level: wran}\n", "did you mean 'warn'?"),
])
def test_a_wrong_choice_names_the_one_that_was_meant(tmp_path, line, wanted):
    assert wanted in problems(tmp_path, line)


# ---- secrets ----

EXPANDED = {
    "an upstream's name": (UP + "models: {m: {upstream: '${SECRET}'}}\n", "there is no upstream '${SECRET}'"),
    "an alias with a star": (UP + "models: {m: {upstream: u, aliases: ['${SECRET}*']}}\n", "make '${SECRET}*' a model"),
    "an alias twice": (UP + "models: {m: {upstream: u, aliases: ['${SECRET}', '${SECRET}']}}\n", "'${SECRET}' names a model twice"),
    "a choice": (UP + "    kind: ${SECRET}\n", "not '${SECRET}'"),
    "a list of choices": (UP + "models: {m: {upstream: u, endpoints: ['${SECRET}']}}\n", "not '${SECRET}'"),
    "a size": ("client: {head_max: '${SECRET}'}\n", "not '${SECRET}'"),
    "a duration": ("client: {idle_timeout: '${SECRET}'}\n", "not '${SECRET}'"),
    "a count": ("workers: ${SECRET}\n", "not '${SECRET}'"),
    "a price": (UP + "models: {m: {upstream: u, price: {input: '${SECRET}'}}}\n", "not '${SECRET}'"),
    "a currency": (UP + "models: {m: {upstream: u, price: {currency: '${SECRET}'}}}\n", "three capital letters"),
    "an address": ("listen: [{address: '${SECRET}'}]\n", "not '${SECRET}'"),
    "an address of admin": ("admin: {address: '${SECRET}'}\n", "not '${SECRET}'"),
    "a url": ("upstreams: {u: {url: '${SECRET}'}}\n", "not '${SECRET}'"),
    "a label": ("zone: '${SECRET} x'\n", "not '${SECRET} x'"),
    "a file": ("upstreams: {u: {url: 'http://a/v1', api_key: 'file:${SECRET}'}}\n", "file:${SECRET} cannot be read"),
    "a key": ("upstreams: {u: {url: 'http://a/v1', api_key: '${SECRET} x'}}\n", "upstreams.u.api_key takes"),
    "an origin": ("cors: {origins: ['${SECRET}']}\n", "an origin is a scheme and a host"),
    "a boolean": (UP + "models: {m: {upstream: u, token_arrays: '${SECRET}'}}\n", "not '${SECRET}'"),
}


@pytest.mark.parametrize("name", EXPANDED)
def test_a_problem_shows_what_the_file_says_and_not_what_a_variable_holds(tmp_path, name):
    text, wanted = EXPANDED[name]
    said = problems(tmp_path, text, SECRET=SECRET)
    assert wanted in said
    assert SECRET not in said


def test_doctor_says_no_url_that_a_variable_holds(tmp_path, upstream):
    path = tmp_path / "atlas.yaml"
    path.write_text(f"""data: {tmp_path}/data
listen: [{{ address: "127.0.0.1:0" }}]
admin: {{ address: "127.0.0.1:0" }}
upstreams:
  hidden: {{ url: "http://127.0.0.1:1/${{TOKEN}}/v1" }}
  hidden-too: {{ url: "{upstream.url.removesuffix('/v1')}/${{TOKEN}}/v1" }}
  twice: {{ url: "http://127.0.0.1:1/${{TOKEN}}/v1/v1" }}
  plain: {{ url: "{upstream.url}" }}
""")
    assert run("init", "--config", path, env={"TOKEN": SECRET}).returncode == 0
    said = run("doctor", "--config", path, env={"TOKEN": SECRET}).stdout
    assert SECRET not in said
    assert "upstream hidden: its `url:`: the model server could not be reached" in said
    assert f"{upstream.url} answers and lists 1 model" in said


# ---- calls ----

@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    models = {f"filler-{i}": {"upstream": "u"} for i in range(3000)}
    return make_gateway({"upstreams": {"u": {"url": upstream.url}},
                         "models": {"gpt-oss-20b": {"upstream": "u"}, "falcon-h1": {"upstream": "u"}, **models}})


@pytest.mark.parametrize("asked, meant", [("gtp-oss-20b", "gpt-oss-20b"), ("GPT-OSS-20B", "gpt-oss-20b"), ("falcon-h2", "falcon-h1"),
                                          ("falconh1", "falcon-h1"), ("filler-12x", "filler-12"), ("claude", None), ("x" * 5000, None)])
def test_a_wrong_model_name_names_the_one_that_was_meant(gateway, asked, meant):
    got = gateway.chat(asked)
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert ("did you mean" in error["message"]) == (meant is not None)
    assert f"did you mean '{meant}" in error["message"] or meant is None
    assert "GET /v1/models" in error["message"]
