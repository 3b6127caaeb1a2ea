# SPDX-License-Identifier: Apache-2.0
"""The gateway mode of another's benchmark, `pii-leak-benchmark` (PyPI, Apache-2.0): it stands on both sides of Atlas, sends prompts with personal data
and credentials, looks at every byte that comes to the model server, and says again what it got, in pieces, with values of its own put in.

Its values are of kinds that a careful policy leaves alone: addresses of example.com, keys that say EXAMPLE, social security numbers of the USA. So the
policy here asks for the first two at a low confidence, and has patterns for the third and for telephone numbers of there."""
import json
import os
import subprocess

import pytest
from conftest import HOME, end, free_port, serve

GUARD = r"""
guard:
  mode: enforce
  restore: true
  prompts: { default: redact }
  replies: { default: allow, us_ssn: allow, us_phone: allow }
  min_confidence: { email: 0.05, secret: 0.05 }
  patterns:
    - { name: us_ssn, regex: '\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b', action: redact }
    - { name: us_phone, regex: '\b[0-9]{3}-[0-9]{3}-[0-9]{4}\b', action: redact }
"""

# What a reply says that its caller did not, is taken out.
REPLIES = GUARD.replace("replies: { default: allow, us_ssn: allow, us_phone: allow }", "replies: { default: redact }")


@pytest.fixture
def behind(tmp_path_factory):
    """behind(guard) → a site whose model server will listen on the port that is given with it."""
    running = []

    def make(guard):
        port = free_port()
        site, atlas = serve(tmp_path_factory.mktemp("leak"), f"""
upstreams:
  capture: {{ url: "http://127.0.0.1:{port}/v1", region: sa, breaker: false }}
models:
  conformance-model: {{ upstream: capture }}
{guard}""")
        running.append(atlas)
        return site, port
    yield make
    end(*running)


def run(program, *arguments, key="none"):
    return subprocess.run([HOME / "bin" / program, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "CONFORMANCE_TARGET_API_KEY": key, "V2_GATEWAY_TOKEN": key})


def selfcheck(site, port, folder, *more):
    done = run("pii-leak-benchmark", "selfcheck", "--target-base-url", site.url, "--capture-port", port, "--json-out", folder / "report.json", *more, key=site.key)
    return done, json.loads((folder / "report.json").read_text())


def test_the_benchmark_sees_what_leaks(tmp_path):
    done = run("pii-leak-benchmark", "selfcheck", "--target-base-url", "capture://self", "--capture-port", free_port(), "--json-out", tmp_path / "report.json")
    assert done.returncode == 1 and "LEAK" in done.stdout


def test_without_a_guard_everything_goes_through(behind, tmp_path):
    done, report = selfcheck(*behind(""), tmp_path)
    assert done.returncode == 1, done.stdout
    assert len(report["checks"]["configured_upstream_boundary"]["leaked_entity_types"]) == 6


def test_with_it_nothing_raw_reaches_the_upstream_and_the_caller_gets_his_own_back(behind, tmp_path):
    done, report = selfcheck(*behind(GUARD), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = report["checks"]
    assert checks["configured_upstream_boundary"]["leaked_entity_types"] == []
    assert checks["configured_upstream_boundary"]["correlated_requests"] > 0
    assert all(checks[name]["passed"] for name in ("response_fidelity", "sse_validity", "fragmentation_safety"))


def test_what_a_reply_brings_of_its_own_is_taken_out_however_it_is_cut(behind, tmp_path):
    site, port = behind(REPLIES)
    done = run("pii-leak-benchmark-v2", "--out", tmp_path, "--only", "atlas", "--gateway-url", f"{site.url}/chat/completions", "--upstream-port", port, "--model",
               "conformance-model", "--seed", "a1b2c3d4e5f60001", "--json-out", tmp_path / "summary.json", key=site.key)
    said = json.loads((tmp_path / "summary.json").read_text())
    [row] = said if isinstance(said, list) else said["rows"] if "rows" in said else [said]
    assert row["cases_applicable"] > 0, done.stdout + done.stderr
    assert row["request_path_leak"] == [], row
    assert (row["leak_single_chunk"], row["leak_adversarial"], row["delta_frag"]) == (0, 0, 0), row
