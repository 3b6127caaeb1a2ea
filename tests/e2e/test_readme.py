# SPDX-License-Identifier: Apache-2.0
"""The README's blocks as a newcomer pastes them."""
import os
import pathlib
import re
import subprocess

from harness.processes import ATLAS, SLOWER

README = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
PLACEHOLDER = re.search(r'api_key="(mx4_[^"]+)"', README)[1]


def blocks(title):
    """The blocks of a section that are indented or fenced, each as (language, text)."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## )", README, re.M | re.S)[1]
    found = re.findall(r"```(\w+)\n(.*?)```|((?:^    [^\n]*\n)+)", section, re.M | re.S)
    return [(language, text) if language else ("sh", "".join(line[4:] + "\n" for line in indented.splitlines()))
            for language, text, indented in found]


def test_the_key_in_the_sample_is_one_that_any_client_can_send():
    assert PLACEHOLDER.isascii()


def test_the_sample_s_own_key_is_answered_401(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"smollm2": {"upstream": "u"}}})
    assert gateway.post("/v1/chat/completions", {"model": "smollm2"}, key=PLACEHOLDER).status_code == 401


def test_the_blocks_of_a_newcomer_s_own_models_work_as_they_stand(sim, tmp_path):
    steps = blocks("With your own models")
    assert [language for language, _ in steps] == ["sh", "yaml", "sh"]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "atlas").symlink_to(ATLAS)
    yaml = steps[1][1].replace("http://10.0.0.5:8000/v1", sim.base).replace("127.0.0.1:8080", "127.0.0.1:0")
    assert sim.base in yaml
    first = "\n".join(line for line in steps[0][1].splitlines() if not line.startswith("make"))
    # The kernel's port stands for 8080, which the machine's own Atlas may hold.
    script = f"""set -e
{first}
cat >atlas.yaml <<'END'
{yaml}admin: {{ address: 127.0.0.1:0 }}
END
{steps[2][1].replace("build/atlas doctor ", ": ")}"""
    script = script.replace("build/atlas serve &", """build/atlas serve >said 2>&1 &
trap "kill $!; wait" EXIT
until grep -q ' ready ' said; do kill -0 $! || { cat said; exit 1; }; done
export ATLAS_URL=$(grep -o 'http://[0-9.:]*' said | head -1)/v1""")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60 * SLOWER, check=False,
                          cwd=tmp_path, env={k: v for k, v in os.environ.items() if not k.startswith("ATLAS")})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is valid" in done.stdout and "The quick falcon" in done.stdout
    assert (tmp_path / "data" / "atlas.db").exists()
