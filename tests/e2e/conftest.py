# SPDX-License-Identifier: Apache-2.0
"""Fixtures: gateways, simulators and model servers of a module, and the watch over the log.

Every test ends with a look at the logs of the gateways that run: a warning, an error or a line that
is no log line (a sanitizer's report) that the test did not announce fails it.
"""
import contextlib

import pytest

from harness import processes
from harness.upstream import Upstream

running = []


def pytest_configure(config):
    processes.raise_file_limit()


def complain(gateway):
    wrong = gateway.unannounced()
    assert not wrong, "unexpected lines in the log:\n" + "\n".join(wrong)


@pytest.fixture(scope="module", autouse=True)
def lanes(tmp_path_factory):
    """Pytest keeps every folder, and each journal reserves 57 MB a worker: whole runs would fill the disk."""
    before = set(tmp_path_factory.getbasetemp().iterdir())
    yield
    for folder in set(tmp_path_factory.getbasetemp().iterdir()) - before:
        for lane in folder.glob("**/lane-*"):
            lane.unlink()


@pytest.fixture(scope="module")
def make_gateway(tmp_path_factory):
    """make_gateway(config, env=…) starts a gateway that lives as long as the module."""
    with contextlib.ExitStack() as ends:  # one that complains does not keep the others running

        def end(gateway):
            running.remove(gateway)
            status = gateway.stop()
            assert status in (0, -9), f"the gateway ended with {status}:\n{gateway.log()[-4000:]}"
            complain(gateway)

        def make(config, **more):
            gateway = processes.Gateway(tmp_path_factory.mktemp("gateway"), config, **more)
            running.append(gateway)
            ends.callback(end, gateway)
            return gateway

        yield make


@pytest.fixture(params=["running", "stopped"])
def commands(request, gateway, tmp_path):
    """atlas … against the running gateway of the module, and against a data folder alone."""
    if request.param == "running":
        return gateway.command
    path = tmp_path / "atlas.yaml"
    path.write_text(f"data: {tmp_path}/data\n")
    assert processes.run("init", "--config", path).returncode == 0
    return lambda *arguments: processes.run(*arguments, "--config", path)


@pytest.fixture(scope="module")
def make_sim(tmp_path_factory):
    with contextlib.ExitStack() as stops:  # one that crashed does not keep the others running

        def make(*arguments):
            sim = processes.Sim(tmp_path_factory.mktemp("sim"), *arguments)
            stops.callback(sim.stop)
            return sim

        yield make


@pytest.fixture(scope="module")
def sim(make_sim):
    return make_sim()


@pytest.fixture(scope="module")
def upstream():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def watch(request):
    """Fails a test whose gateways complain of what it did not announce."""
    yield
    for gateway in list(running):
        try:
            complain(gateway)
        finally:
            gateway.forget_announced()
    if "upstream" in request.fixturenames:
        left = len(request.getfixturevalue("upstream").scripts)
        request.getfixturevalue("upstream").forget()
        assert left == 0, f"{left} answers were not asked for"
