# SPDX-License-Identifier: Apache-2.0
"""The official OpenAI SDK for Node, with nothing changed but its base URL."""
import math

import pytest

from conftest import until


@pytest.fixture(scope="module")
def said(sim):
    sim.aborted_before = sim.sim("counters")["aborted"]
    return sim.node("openai.mjs", sim_counters=f"http://127.0.0.1:{sim.sim_port}/sim/counters")


def test_node_is_the_one_of_the_lock(said):
    assert int(said["node"].split(".")[0]) >= 22


def test_a_chat_is_answered(said):
    assert said["chat"]["choices"][0]["message"]["content"].startswith("The quick falcon")
    assert said["chat"]["model"] == "sim-model"


def test_a_stream_comes_in_pieces_with_the_usage_last(said):
    assert "".join(p["text"] for p in said["pieces"]).startswith("The quick falcon")
    assert said["pieces"][-1]["usage"]["completion_tokens"] == 16
    assert all(p["usage"] is None for p in said["pieces"][:-1])


def test_tools_are_called_whole_and_streamed(said):
    for call in (said["tool"], said["toolStream"]):
        assert call["function"] == {"name": "get_weather", "arguments": '{"place":"Riyadh"}'} or (
            call["function"]["name"] == "get_weather"
            and call["function"]["arguments"] == '{"place":"Riyadh"}')


def test_embeddings_are_right_though_the_server_knows_no_base64(said):
    for n, vector in enumerate(said["vectors"]):
        assert vector == pytest.approx([math.sin((i + 1) * (n + 1)) / 2 for i in range(4)], abs=1e-6)


def test_models_are_listed_and_found_with_slashes(said):
    assert "sim-model" in said["models"] and said["slash"] == "vendor/some-model"


def test_errors_have_the_sdks_classes_and_our_codes(said):
    assert (said["unknown"]["kind"], said["unknown"]["code"]) == ("NotFoundError", "model_not_found")
    assert (said["upstream"]["status"], said["upstream"]["code"]) == (502, "upstream_error")
    assert (said["key"]["kind"], said["key"]["code"]) == ("AuthenticationError", "invalid_api_key")
    assert "model server" in said["middle"]["message"]


def test_the_sdk_retries_what_may_succeed_later(said):
    assert (said["retried"]["status"], said["retried"]["calls"]) == (502, 2)


def test_a_literal_extra_body_is_lifted_and_a_left_stream_is_cancelled(said, sim):
    until(lambda: sim.sim("counters")["aborted"] > sim.aborted_before, 5, "the call is aborted")


@pytest.fixture(scope="module")
def really(real):
    real.gone_before = real.metric('atlas_calls_total{outcome="client_gone"}')
    return real.node("real.mjs")


def test_a_real_model_chats_and_streams_to_node(really):
    assert really["chat"]["choices"][0]["message"]["content"]
    assert really["chat"]["usage"]["completion_tokens"] == 4
    assert len(really["text"]) > 5 and len(really["vector"]) == 384


def test_tools_reach_a_real_model_from_node(really):
    assert really["tool"]["content"] or really["tool"]["tool_calls"]


def test_a_real_models_errors_reach_node(really):
    assert (really["unknown"]["status"], really["unknown"]["code"]) == (404, "model_not_found")
    assert (really["wrong"]["status"], really["wrong"]["code"]) == (400, "invalid_value")


def test_a_real_models_stream_that_node_leaves_is_cancelled(really, real):
    until(lambda: real.metric('atlas_calls_total{outcome="client_gone"}') == real.gone_before + 1, 5, "the call is cancelled")
