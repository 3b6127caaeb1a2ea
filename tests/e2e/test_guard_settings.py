# SPDX-License-Identifier: Apache-2.0
"""`guard:` in the configuration: what is said of what is wrong with it, and what a reload of it and of its lists changes."""
import json

import pytest

from harness.processes import run

BASE = "data: data\nupstreams:\n  u: { url: http://127.0.0.1:9/v1 }\nmodels:\n  m: { upstream: u }\n"


def check(tmp_path, text, **files):
    for name, words in files.items():
        (tmp_path / f"{name}.txt").write_text(words)
    (tmp_path / "atlas.yaml").write_text(BASE + text)
    return run("config", "check", "--config", tmp_path / "atlas.yaml")


def problems(tmp_path, text, **files):
    done = check(tmp_path, text, **files)
    assert done.returncode == 1
    return [line.split("atlas.yaml:", 1)[1] for line in done.stderr.splitlines()]


WHOLE = """guard:
  mode: enforce
  prompts:  { default: allow, saudi_id: redact, credit_card: block, email: flag, secret: block }
  replies:  { default: allow, secret: block, saudi_id: mask }
  restore: true
  blocked_reply: empty
  min_confidence: { phone: 0.7, project_code: 1 }
  classes: { saudi_id: restricted }
  patterns:  [ { name: project_code, regex: 'PRJ-[0-9]{6}', action: block } ]
  wordlists: [ { name: codenames, file: codenames.txt, action: block } ]
  dictionary: [ { name: clients, file: clients.txt, action: redact } ]
  injection: { action: flag, threshold: 0.8 }
"""


def test_the_form_of_the_manual_is_valid(tmp_path):
    done = check(tmp_path, WHOLE, codenames="falcon\n", clients="Nejd Trading\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text,said", [
    ("guard:\n  prompts: { email: flag }\n", "6:1: guard needs `mode: …`: enforce, dry-run or off"),
    ("guard:\n  mode: enforc\n", "7:9: guard.mode takes one of off, dry-run, enforce, not 'enforc' — did you mean 'enforce'?"),
    ("guard:\n  mode: off\n  promts: {}\n", "8:3: unknown setting 'guard.promts' — did you mean 'prompts'?"),
    ("guard:\n  mode: off\n  prompts: { saudi_idd: flag }\n", "8:14: guard.prompts.saudi_idd: there is no type 'saudi_idd' — did you mean 'saudi_id'?"),
    ("guard:\n  mode: off\n  prompts: { email: blok }\n",
     "8:21: guard.prompts.email: takes one of allow, flag, mask, hash, redact, local_only, block, not 'blok' — did you mean 'block'?"),
    ("guard:\n  mode: off\n  prompts: [ email ]\n", "8:12: guard.prompts takes a mapping of names, each with one value"),
    ("guard:\n  mode: off\n  prompts: { email: [ flag ] }\n", "8:21: guard.prompts.email takes one value"),
    ("guard:\n  mode: off\n  replies: { email: local_only }\n",
     "8:21: guard.replies.email: local_only says where a prompt goes; of a reply choose another action"),
    ("guard:\n  mode: off\n  prompts: { injection: flag }\n", "8:14: guard.prompts.injection: what is done about injection stands in `injection:`"),
    ("guard:\n  mode: off\n  min_confidence: { email: 80% }\n", "8:28: guard.min_confidence.email: a confidence is a number from 0 to 1, not '80%'"),
    ("guard:\n  mode: off\n  min_confidence: { email: 1.01 }\n", "8:28: guard.min_confidence.email: a confidence is a number from 0 to 1, not '1.01'"),
    ("guard:\n  mode: off\n  classes: { email: restrictd }\n",
     "8:21: guard.classes.email: takes one of public, internal, restricted, secret, top-secret, not 'restrictd' — did you mean 'restricted'?"),
    ("guard:\n  mode: off\n  injection: { action: mask }\n",
     "8:24: guard.injection.action: an attempt at injection is no value that could be replaced: allow, flag, local_only or block"),
    ("guard:\n  mode: off\n  injection: { threshold: 1.5 }\n", "8:27: guard.injection.threshold takes a decimal number from 0 to 1, not '1.5'"),
    ("guard:\n  mode: off\n  patterns: [ { name: Project, regex: 'P{2}' } ]\n",
     "8:23: guard.patterns[0].name: 'Project' is no name of a type: a small letter, then small letters, digits and _, 31 at most"),
    ("guard:\n  mode: off\n  patterns: [ { name: email, regex: 'P{2}' } ]\n",
     "8:23: guard.patterns[0].name: 'email' means something already; choose another name"),
    ("guard:\n  mode: off\n  wordlists: [ { name: a, words: [b] }, { name: a, words: [c] } ]\n",
     "8:49: guard.wordlists[1].name: two rules are called 'a'"),
    ("guard:\n  mode: off\n  wordlists: [ { name: a } ]\n", "8:16: guard.wordlists[0]: a list has either a `file` or `words`"),
    ("guard:\n  mode: off\n  patterns: [ { regex: 'P{2}' } ]\n", "8:15: guard.patterns[0] needs `name: …`, such as project_code"),
    ("guard:\n  mode: off\n  external: [ { name: email, url: 'http://127.0.0.1:1' } ]\n",
     "8:23: guard.external[0].name: 'email' means something already; choose another name"),
    ("guard:\n  mode: off\n  external: [ { name: p-1, url: 'http://127.0.0.1:1' } ]\n",
     "8:23: guard.external[0].name: 'p-1' is no name of a type: a small letter, then small letters, digits and _, 31 at most"),
    ("guard:\n  mode: off\n  external: [ { name: p, url: 'http://127.0.0.1:1', types: [Person] } ]\n",
     "8:60: guard.external[0].types: 'Person' is no name of a type: a small letter, then small letters, digits and _, 31 at most"),
    ("guard:\n  mode: off\n  external: [ { name: p, url: 'http://127.0.0.1:1', types: [person] } ]\n  prompts: { persn: block }\n",
     "9:14: guard.prompts.persn: there is no type 'persn' — did you mean 'person'?"),
    ("guard:\n  mode: off\n  external: [ { name: p } ]\n", "8:15: guard.external[0] needs `url: …`, such as http://127.0.0.1:5002"),
    ("guard:\n  mode: off\n  external: [ { name: p, url: 'http://127.0.0.1:1', timeout: 1ms } ]\n",
     "8:62: guard.external[0].timeout takes a duration (ms, s, m, h, d) from 10ms to 30s, not '1ms'"),
])
def test_what_is_wrong_is_told_with_its_place(tmp_path, text, said):
    assert said in problems(tmp_path, text)


def test_a_pattern_that_is_none_is_told_with_its_place(tmp_path):
    [said] = problems(tmp_path, "guard:\n  mode: off\n  patterns: [ { name: a, regex: 'a{2' }, { name: b, regex: 'b(' } ]\n")
    assert said.startswith("8:") and "guard.patterns[" in said and ".regex" in said


def test_a_list_that_is_not_there_is_told(tmp_path):
    [said] = problems(tmp_path, "guard:\n  mode: off\n  wordlists: [ { name: a, file: none.txt, action: flag } ]\n")
    assert said.startswith("8:33: ") and "none.txt: cannot be read: No such file or directory" in said


def test_a_list_that_is_too_long_is_told(tmp_path):
    (tmp_path / "long.txt").write_bytes(b"word\n" * ((16 << 20) // 5 + 1))
    [said] = problems(tmp_path, "guard:\n  mode: off\n  wordlists: [ { name: a, file: long.txt, action: flag } ]\n")
    assert "long.txt: is larger than 16 MiB" in said


def test_the_sample_has_all_of_it_and_is_valid(tmp_path):
    sample = run("config", "sample").stdout
    for name in ("guard:", "#mode:", "#prompts:", "#replies:", "#restore:", "#min_confidence:", "#classes:", "#patterns:", "#wordlists:", "#dictionary:",
                 "injection:", "#external:"):
        assert name in sample
    (tmp_path / "atlas.yaml").write_text(sample)
    assert run("config", "check", "--config", tmp_path / "atlas.yaml").returncode == 0


# ---- reloads ----

@pytest.fixture
def gateway(make_gateway, sim, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("falcon\n")
    made = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                         "guard": {"mode": "enforce", "wordlists": [{"name": "codenames", "file": str(words), "action": "block"}]}})
    made.words = words
    return made


def found(gateway, text):
    got = gateway.admin("POST", "/admin/v1/guard/test", json={"text": text})
    assert got.status_code == 200, got.text
    return [(f["type"], text[f["start"]:f["end"]]) for f in got.json()["findings"]]


def digest(gateway):
    return gateway.admin("GET", "/admin/v1/routes/history").json()["data"][-1]["digest"]


def test_a_reload_reads_lists_again(gateway):
    before = digest(gateway)
    assert found(gateway, "the falcon and the oryx") == [("codenames", "falcon")]
    gateway.words.write_text("oryx\n")
    gateway.reload()
    assert found(gateway, "the falcon and the oryx") == [("codenames", "oryx")]
    assert digest(gateway) != before  # records say which lists were in force


def test_a_list_that_cannot_be_read_leaves_what_was_in_force(gateway):
    gateway.words.unlink()
    gateway.announce("config", "reload_refused")
    gateway.reload(expect="reload_refused")
    assert found(gateway, "the falcon") == [("codenames", "falcon")]


def test_the_page_of_policies_shows_the_section_and_no_list(gateway):
    text = gateway.admin("GET", f"/admin/v1/policies/{digest(gateway)}").text
    assert "codenames" in text and "falcon" not in json.dumps(json.loads(text))
