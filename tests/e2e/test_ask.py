# SPDX-License-Identifier: Apache-2.0
"""`atlas ask`, the first call that a newcomer makes: text as it comes, a sentence when it does not."""
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness.certificates import Authority
from harness.processes import ATLAS, SLOWER, run
from harness.upstream import reply
from harness.waiting import until

HELLO = "The quick falcon crosses the desert by night."


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"chatty": {"upstream": "u"}}})


def ask(gateway, *words, key=None, env=None):
    return run("ask", *words, env={"ATLAS_URL": gateway.url + "/v1", "ATLAS_API_KEY": key or gateway.key, **(env or {})})


def test_it_prints_the_answer_and_nothing_else(gateway, sim):
    said = ask(gateway, "--model", "chatty", "--max-tokens", "7", "--system", "Be brief", "سلام \"x\"")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(HELLO) and said.stdout.endswith("\n") and "data:" not in said.stdout
    _, body = sim.last()
    assert body["max_tokens"] == 7
    assert body["messages"] == [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "سلام \"x\""}]


def test_without_a_model_it_asks_the_first_that_the_key_may_use(gateway):
    assert HELLO in ask(gateway, "hello").stdout


def test_the_key_and_the_address_of_openai_s_variables_do_as_well(gateway):
    said = run("ask", "hello", env={"OPENAI_API_KEY": gateway.key, "OPENAI_BASE_URL": gateway.url + "/v1"})
    assert (said.returncode, HELLO in said.stdout) == (0, True)


def test_a_dash_reads_the_prompt_from_standard_input(gateway, sim):
    said = subprocess.run([ATLAS, "ask", "-"], input="from a pipe", capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "ATLAS_URL": gateway.url + "/v1", "ATLAS_API_KEY": gateway.key})
    assert said.returncode == 0, said.stderr
    assert sim.last()[1]["messages"][0]["content"] == "from a pipe"


@pytest.mark.parametrize("words,status,sentence", [
    (["--key", "mx4_sk_live_nobody", "hi"], 1, "401: "),
    (["--key", "mx4_sk_live_…", "hi"], 1, "401: "),
    (["--model", "none", "hi"], 1, "404: "),
    (["--url", "http://127.0.0.1:1/v1", "hi"], 1, "http://127.0.0.1:1/v1: nobody answers there"),
    (["--url", "127.0.0.1:1", "hi"], 1, "http://"),
    (["--max-tokens", "some", "hi"], 2, "--max-tokens takes a whole number, not 'some'"),
    ([], 2, "PROMPT is missing"),
])
def test_what_goes_wrong_is_a_sentence_and_a_status(gateway, words, status, sentence):
    said = ask(gateway, *words)
    assert (said.returncode, said.stdout) == (status, "")
    assert said.stderr.startswith("atlas ask: ") and sentence in said.stderr


def pauses(process):
    """Whether it had a loop, of which libuv keeps a pipe for signals, and has none now."""
    try:
        open_files = [os.readlink(f) for f in pathlib.Path(f"/proc/{process}/fd").iterdir()]
    except FileNotFoundError:  # closed while we looked
        return False
    return len(open_files) > 3 and "anon_inode:[eventpoll]" not in open_files


def test_a_gateway_that_is_still_starting_is_waited_for(make_sim):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([ATLAS, "ask", "--url", f"http://127.0.0.1:{port}/v1", "--key", "k", "--model", "m", "hi"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        until(lambda: pauses(asked.pid), 5 * SLOWER, "it was refused, and waits to try again")
        make_sim("--listen", f"127.0.0.1:{port}")
        out, err = asked.communicate(timeout=60)
    assert (asked.returncode, HELLO in out) == (0, True), err


def test_without_a_key_it_says_where_one_comes_from():
    said = run("ask", "hi", env={"ATLAS_API_KEY": "", "OPENAI_API_KEY": ""})
    assert said.returncode == 2
    assert "`atlas key create`" in said.stderr


def test_a_stream_that_breaks_off_fails_behind_the_text_that_came(make_sim):
    sim = make_sim("--fault", "reset", "--at", "2500", "--tokens", "1000")
    said = run("ask", "--url", sim.base, "--key", "k", "--model", "m", "hi")
    assert said.returncode == 1
    assert said.stdout.startswith(HELLO) and "the answer broke off" in said.stderr


def test_an_error_in_a_stream_is_told_as_the_server_words_it(make_sim):
    sim = make_sim("--fault", "error_event", "--at", "3")
    said = run("ask", "--url", sim.base, "--key", "k", "--model", "m", "hi")
    assert said.returncode == 1
    assert said.stderr.startswith("atlas ask: ") and "{" not in said.stderr


def test_an_answer_that_is_no_api_s_says_so(upstream):
    upstream.script(reply(200, "<html>", {"Content-Type": "text/html"}))
    said = run("ask", "--url", upstream.url, "--key", "k", "--model", "m", "hi")
    assert said.returncode == 1
    assert "not a stream of events" in said.stderr


def test_ctrl_c_ends_it_at_once_with_the_text_that_came(make_sim):
    sim = make_sim("--tokens-per-second", "20", "--tokens", "100000")
    with subprocess.Popen([ATLAS, "ask", "--url", sim.base, "--key", "k", "--model", "m", "hi"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as asking:
        first = asking.stdout.read(3)
        asking.send_signal(signal.SIGINT)
        rest, said = asking.communicate(timeout=10 * SLOWER)
    assert asking.returncode == 128 + signal.SIGINT
    assert first == b"The" and rest.endswith(b"\n") and said == b""
    until(lambda: sim.counters()["aborted"] == 1, 10 * SLOWER, "the server sees that nobody listens")


def test_a_reader_that_has_enough_ends_it(make_sim):
    sim = make_sim("--tokens", "10000000")
    said = subprocess.run(["bash", "-c", '"$0" ask --url "$1" --key k --model m hi | head -c 20', str(ATLAS), sim.base],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (said.stdout, said.stderr) == (HELLO[:20], "")


def test_a_private_authority_is_trusted_when_it_is_named(make_gateway, sim, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    gateway = make_gateway({"listen": [{"address": "127.0.0.1:0", "tls": {"certificate": str(certificate), "key": str(key)}}],
                            "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    url = f"https://localhost:{gateway.port}/v1"
    assert HELLO in run("ask", "--url", url, "--key", gateway.key, "--ca-file", authority.certificate, "hi").stdout
    said = run("ask", "--url", url, "--key", gateway.key, "hi")
    assert said.returncode == 1 and "certificate" in said.stderr
