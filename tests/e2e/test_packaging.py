# SPDX-License-Identifier: Apache-2.0
"""What packages install: man pages, completions, the service, and where each goes."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.processes import ATLAS, run

TOP = pathlib.Path(__file__).resolve().parents[2]


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def names(help_page):
    return re.findall(r"^  ([a-z]+) +[A-Z]", help_page, re.M)


def commands():
    """All that runs, as lists of words."""
    for name in names(run("--help").stdout):
        actions = names(run("help", name).stdout) if "ACTION [--help]" in run("help", name).stdout else []
        yield from ([[name, action] for action in actions] or [[name]])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    done = subprocess.run([TOP / "tools" / "install.sh"], capture_output=True, text=True, check=False,
                          env={**os.environ, "ATLAS": str(ATLAS), "DESTDIR": str(folder), "PREFIX": "/opt/atlas"})
    assert done.returncode == 0, done.stderr
    return folder / "opt" / "atlas"


def test_every_command_has_a_page_that_names_its_options(installed):
    for words in commands():
        page = (installed / "share" / "man" / "man1" / ("-".join(["atlas", *words]) + ".1")).read_text()
        for option in re.findall(r"^  --([a-z0-9-]+)", run("help", *words).stdout, re.M):
            assert "\\fB\\-\\-" + option.replace("-", "\\-") in page, (words, option)
        assert ".SH EXIT STATUS" in page


def test_the_page_of_the_configuration_names_every_setting(installed):
    page = (installed / "share" / "man" / "man5" / "atlas.yaml.5").read_text().replace("\\-", "-")
    paths = re.findall(r"^\| `([^`]+)` \|", run("config", "reference").stdout, re.M)
    assert len(paths) > 50
    assert [path for path in paths if f"\\fB{path}\\fR" not in page] == []


@needs("groff")
def test_the_pages_are_pages_to_man(installed):
    for page in (installed / "share" / "man").glob("*/*"):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", page], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), page


def test_what_is_installed_stands_where_programs_look_and_root_s_etc_is_left_alone(installed):
    for path in ("bin/atlas", "share/bash-completion/completions/atlas", "share/zsh/site-functions/_atlas",
                 "lib/systemd/system/atlas.service", "lib/sysusers.d/atlas.conf", "share/doc/atlas/LICENSE",
                 "share/doc/atlas/docs/operating.md", "share/doc/atlas/examples/atlas.yaml",
                 "share/doc/atlas/examples/atlas.logrotate"):
        assert (installed / path).is_file(), path
    assert os.listdir(installed.parents[1]) == ["opt"]
    assert run("config", "check", "--config", installed / "share/doc/atlas/examples/atlas.yaml").returncode == 0


@needs("systemd-analyze")
def test_the_service_is_one_to_systemd_and_exposes_little(installed, tmp_path):
    unit = (installed / "lib/systemd/system/atlas.service").read_text()
    assert "ExecStart=/opt/atlas/bin/atlas serve" in unit
    file = tmp_path / "atlas.service"
    file.write_text(unit.replace("/opt/atlas/bin/atlas", str(installed / "bin" / "atlas")))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False)
    assert "atlas.service" not in checked.stderr, checked.stderr
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", file], capture_output=True, text=True, check=False)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert level and float(level[1]) < 2, judged.stdout + judged.stderr


@needs("logrotate")
def test_the_sample_for_logrotate_is_one_to_logrotate(tmp_path):
    sample = (TOP / "packaging" / "atlas.logrotate").read_text()
    me = subprocess.run(["bash", "-c", "id -un; id -gn"], capture_output=True, text=True, check=True).stdout.split()
    (tmp_path / "access.log").write_text("x")
    file = tmp_path / "conf"
    file.write_text(sample.replace("/var/log/atlas", str(tmp_path)).replace("atlas atlas", " ".join(me)))
    file.chmod(0o644)
    done = subprocess.run(["/usr/sbin/logrotate", "-d", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr


def complete(*words):
    """What bash offers behind these words."""
    script = 'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _atlas; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", "atlas", *words], input=run("completion", "bash").stdout,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash_completes_commands_actions_options_and_what_they_take(tmp_path):
    (tmp_path / "mine.yaml").touch()
    assert complete("ser") == ["serve"]
    assert set(complete("key", "")) >= {"create", "list", "revoke"}
    assert complete("key", "create", "--na") == ["--name"]
    assert complete("sim", "--fault", "half") == ["half_chunk"]
    assert complete("completion", "z") == ["zsh"]
    assert set(complete("help", "")) >= {"serve", "key", "ask", "--help"}
    assert complete("help", "key", "cr") == ["create"] and complete("man", "key", "rev") == ["revoke"]
    assert complete("help", "serve", "") == ["--help"] and complete("man", "a") == ["ask"]
    assert complete("serve", "--config", f"{tmp_path}/m") == [f"{tmp_path}/mine.yaml"]
    assert complete("ask", "--key", "") == []
    assert complete("key", "create", "--role", "o") == ["operator", "owner"]
    assert complete("budget", "set", "--window", "") == ["day", "week", "month", "total"]
    assert complete("team", "edit", "t", "--max-class", "") == ["public", "internal", "restricted", "secret", "top-secret", "none"]
    assert complete("limit", "set", "--each", "u") == ["user"]
    assert complete("key", "create", "--scopes", "chat,em") == ["chat,embeddings"]
    assert complete("key", "edit", "k", "--models", "") == ["all"] and complete("key", "edit", "k", "--expires", "") == ["never"]
    for words in commands():
        offered = complete(*words, "--")
        assert offered == ["--help"] + re.findall(r"^  (--(?!help)[a-z0-9-]+)", run("help", *words).stdout, re.M)


@pytest.mark.parametrize("words,page", [(["ask"], "atlas-ask"), (["key", "create"], "atlas-key-create"), (["key-create"], "atlas-key-create"),
                                        (["key"], "atlas-key"), ([], "atlas"), (["atlas.yaml"], "atlas.yaml")])
def test_a_man_page_is_found_by_the_commands_own_name(words, page):
    said = run("man", *words)
    assert said.returncode == 0 and f".TH {page} " in said.stdout
    assert said.stdout == run("man", page).stdout


def test_a_man_page_that_is_not_there_is_said_to_be_none():
    said = run("man", "key", "frobnicate")
    assert said.returncode == 2 and "no page 'key frobnicate'" in said.stderr


@pytest.mark.parametrize("arguments,status", [(["--help"], 0), (["--prefix", "/x"], 2), (["x"], 2)])
def test_the_installer_does_not_install_where_it_is_told_what_it_does_not_know(tmp_path, arguments, status):
    done = subprocess.run([TOP / "tools" / "install.sh", *arguments], env={**os.environ, "DESTDIR": str(tmp_path), "ATLAS": str(ATLAS)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == status and "usage:" in done.stderr
    assert list(tmp_path.iterdir()) == []


@needs("zsh")
def test_zsh_takes_what_is_written_for_it():
    done = subprocess.run(["zsh", "-n", "/dev/stdin"], input=run("completion", "zsh").stdout, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_or_page_that_there_is_not_is_told(tmp_path):
    assert "did you mean 'zsh'" in run("completion", "zhs").stderr
    assert run("man", "atlas-kye").returncode == 2
    said = run("man", "--to", tmp_path / "none")
    assert said.returncode == 1 and "No such file" in said.stderr
