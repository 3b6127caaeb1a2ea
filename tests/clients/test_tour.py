# SPDX-License-Identifier: Apache-2.0
"""What `make run` prints to paste, where it needs real model servers."""
import json
import subprocess
import urllib.error
import urllib.request

from conftest import until


def chat(site, model):
    """The status of a call."""
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(site.url + "/chat/completions", json.dumps(body).encode(),
                                     {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_model_server_that_is_killed_is_another_s_call_and_comes_back(real):
    page = until(lambda: "usage --by" in real.said.read_text() and real.said.read_text(), 60, "the page to paste")
    killed = page[page.index("kill -9"):]
    command = killed[:killed.index("\n\n")]
    assert chat(real, "gemma3-270m") == 200
    done = subprocess.run(["bash", "-e"], input=command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "arabic-native" in done.stdout and '"model":"smollm2-135m"' in done.stdout, done.stdout
    assert "is started again in 10 s" in until(lambda: "started again" in real.said.read_text() and real.said.read_text(), 10, "it is told")
    until(lambda: chat(real, "gemma3-270m") == 200, 90, "it answers again")
