# SPDX-License-Identifier: Apache-2.0
"""Starts that fail, and what they say: who holds what, whose a file is, and what to run."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from harness.processes import ATLAS, SLOWER, run
from harness.waiting import until

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


class Home:
    """A configuration and a data folder that another user may own."""

    def __init__(self, text=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atlas-start-"))
        self.folder.chmod(0o755)
        self.config, self.data = self.folder / "atlas.yaml", self.folder / "data"
        self.write(text)
        made = run("init", "--config", self.config)
        assert made.returncode == 0, made.stderr

    def write(self, text):
        self.config.write_text(f"data: {self.data}\nworkers: 1\nlisten: [{{address: '127.0.0.1:0'}}]\nadmin: {{address: '127.0.0.1:0'}}\n{text}")

    def give(self, user):
        for path in (self.data, *self.data.rglob("*")):
            os.chown(path, user, user)

    def serve(self, user=None):
        return subprocess.Popen([ATLAS, "serve", "--config", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=open(self.folder / "said", "wb"), user=user, group=user, extra_groups=[] if user else None)

    def said(self):
        return (self.folder / "said").read_text()

    def fails(self, user=None):
        process = self.serve(user)
        assert process.wait(20 * SLOWER) == 1, self.said()
        return self.said()


@pytest.fixture
def home():
    made = []

    def make(text=""):
        made.append(Home(text))
        return made[-1]
    yield make
    for one in made:
        shutil.rmtree(one.folder)


def serves(home, user=None):
    """Starts, is ready, and ends; what it said."""
    process = home.serve(user)
    try:
        until(lambda: " ready " in home.said() or process.poll() is not None, 10 * SLOWER)
        assert process.poll() is None, home.said()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20 * SLOWER) == 0, home.said()
    return home.said()


@as_root
def test_a_socket_that_root_left_behind_is_removed(home):
    h = home()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(h.data / "admin.sock"))
    left.close()
    h.give(NOBODY)
    os.chown(h.data / "admin.sock", 0, 0)
    (h.data / "admin.sock").chmod(0o700)
    serves(h, NOBODY)


@as_root
def test_a_data_folder_may_be_a_file_system_of_its_own_with_what_root_has_there(home):
    h = home()
    h.give(NOBODY)
    (h.data / "lost+found").mkdir(0o700)
    serves(h, NOBODY)


@as_root
def test_a_file_of_another_user_is_named_with_the_line_that_gives_it_back(home):
    h = home()
    h.give(NOBODY)
    os.chown(h.data / "atlas.db", 0, 0)
    said = h.fails(NOBODY)
    assert "data_owner" in said
    assert f"{h.data}/atlas.db belongs to root and nobody may not write it; give it back: sudo chown -R nobody {h.data}" in said


@as_root
@pytest.mark.parametrize("what", ["lane-000", "0000000000000001.seg"])
def test_a_file_in_the_journal_that_is_another_users_is_named_too(home, what):
    h = home()
    serves(h)
    h.give(NOBODY)
    (h.data / "journal" / what).touch()
    os.chown(h.data / "journal" / what, 0, 0)
    (h.data / "journal" / what).chmod(0o600)
    said = h.fails(NOBODY)
    assert f"{h.data}/journal/{what} belongs to root and nobody may not write it; give it back: sudo chown -R nobody {h.data}" in said


@as_root
@pytest.mark.parametrize("closed", ["", "journal"])
def test_a_folder_of_ones_own_that_may_not_be_written_is_named_with_the_line_that_opens_it(home, closed):
    h = home()
    serves(h)
    assert (h.data / "admin.sock").exists()
    h.give(NOBODY)
    (h.data / closed).chmod(0o500)
    said = h.fails(NOBODY)
    path = str(h.data / closed)
    assert f"nobody may not write the folder {path}; let it: chmod u+rwx {path}" in said
    assert "admin.sock" not in said and "give" not in said


@as_root
@pytest.mark.parametrize(("owner", "mode", "word"), [
    (0, 0o600, "belongs to root and nobody may not write it — chown nobody {path}"),
    (NOBODY, 0o400, "cannot be written by nobody: Permission denied — chmod 600 {path}")])
def test_doctor_says_of_a_list_of_revoked_keys_what_the_start_would(home, owner, mode, word):
    h = home()
    h.give(NOBODY)
    path = h.data / "revoked"
    os.chown(path, owner, owner)
    path.chmod(mode)
    said = run("doctor", "--config", h.config, user=NOBODY, group=NOBODY, extra_groups=[])
    assert said.returncode == 1
    [line] = [line for line in said.stdout.splitlines() if word.format(path=path) in line]
    assert line.startswith("FAIL")
    assert str(path) in h.fails(NOBODY)


@as_root
def test_doctor_that_root_runs_says_whose_list_of_revoked_keys_it_is(home):
    h = home()
    h.give(NOBODY)
    os.chown(h.data / "revoked", 0, 0)
    said = run("doctor", "--config", h.config).stdout
    assert f"{h.data}/revoked belongs to root, and its folder to nobody, whose gateway may not write it — chown nobody {h.data}/revoked" in said


@as_root
def test_what_the_journal_makes_anew_may_be_another_users(home):
    h = home()
    serves(h)
    h.give(NOBODY)
    for name in ("next.tmp", "reserve"):
        os.chown(h.data / "journal" / name, 0, 0)
        (h.data / "journal" / name).chmod(0o600)
    serves(h, NOBODY)
    assert (h.data / "journal" / "next.tmp").stat().st_uid == NOBODY


@as_root
def test_root_is_warned_when_it_serves_another_users_folder(home):
    h = home()
    h.give(NOBODY)
    said = serves(h)
    assert f"root serves {h.data}, which belongs to nobody" in said
    assert f"chown -R nobody {h.data}" in said


@pytest.mark.parametrize("is_there", [False, True])
def test_a_store_that_is_lost_or_empty_is_made_anew_and_that_is_said(home, is_there):
    h = home()
    assert "store_new" not in serves(h)
    (h.data / "atlas.db").unlink()
    if is_there:
        (h.data / "atlas.db").touch()
    assert "atlas.db was not there, or empty, and was made anew" in serves(h)


def test_an_address_in_use_names_who_holds_it(home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        h = home()
        h.write("")
        h.config.write_text(h.config.read_text().replace("listen: [{address: '127.0.0.1:0'}]", f"listen: [{{address: '127.0.0.1:{port}'}}]"))
        said = h.fails()
    assert f"127.0.0.1:{port} is in use by " in said
    assert f"(process {os.getpid()}); stop it, or choose another address" in said


def test_a_data_folder_in_use_names_who_uses_it(home):
    h = home()
    first = h.serve()
    try:
        until(lambda: " ready " in h.said(), 10 * SLOWER)
        second = run("serve", "--config", h.config)
        assert second.returncode == 1
        assert f"{h.data} is used by atlas (process {first.pid}); stop it first" in second.stderr
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(20 * SLOWER) == 0


@pytest.mark.parametrize("wrong", ["the parent's", "the child's"])
def test_a_start_that_fails_is_heard_on_the_terminal_although_the_log_has_a_file(home, wrong):
    h = home("log: {file: atlas.log}\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        if wrong == "the parent's":
            h.config.write_text(h.config.read_text().replace("'127.0.0.1:0'", f"'127.0.0.1:{other.getsockname()[1]}'", 1))
        else:
            (h.data / "pepper").write_bytes(b"no pepper")
        said = h.fails()
    assert said.strip(), "nothing was said"
    assert ("address_in_use" if wrong == "the parent's" else "pepper") in said
    assert said.splitlines()[0] in (h.data / "atlas.log").read_text()


def test_a_start_that_goes_well_says_nothing_on_the_terminal_when_the_log_has_a_file(home):
    h = home("log: {file: atlas.log}\n")
    process = h.serve()
    try:
        until(lambda: (h.data / "atlas.log").exists() and " ready " in (h.data / "atlas.log").read_text(), 10 * SLOWER)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20 * SLOWER) == 0
    assert h.said() == ""
