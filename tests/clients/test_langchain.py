# SPDX-License-Identifier: Apache-2.0
"""LangChain's chat and embeddings for OpenAI, with nothing changed but the base URL."""
import asyncio

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from conftest import until


@pytest.fixture()
def chat(sim):
    return ChatOpenAI(model="sim-model", base_url=sim.url, api_key=sim.key, max_retries=0)


def test_a_chat_is_answered_with_its_usage(chat):
    reply = chat.invoke([HumanMessage("Where do falcons fly?")])
    assert reply.content.startswith("The quick falcon")
    assert reply.usage_metadata["output_tokens"] == 16


def test_a_chat_streams(chat):
    pieces = [p.content for p in chat.stream("Where do falcons fly?")]
    assert len(pieces) > 10 and "".join(pieces).startswith("The quick falcon")


def test_streamed_usage_is_there_when_it_is_asked_for(sim):
    chat = ChatOpenAI(model="sim-model", base_url=sim.url, api_key=sim.key, stream_usage=True)
    whole = None
    for piece in chat.stream("Where do falcons fly?"):
        whole = piece if whole is None else whole + piece
    assert whole.usage_metadata["output_tokens"] == 16


@tool
def get_weather(place: str) -> str:
    """Weather at a place."""
    return f"sunny in {place}"


def test_tools_are_called(chat):
    reply = chat.bind_tools([get_weather]).invoke("What is the weather?")
    assert reply.tool_calls[0]["name"] == "get_weather"
    assert reply.tool_calls[0]["args"] == {"place": "Riyadh"}


def test_max_tokens_is_sent_as_max_completion_tokens_and_passes(sim):
    ChatOpenAI(model="sim-model", base_url=sim.url, api_key=sim.key, max_tokens=9).invoke("Hi")
    assert '"max_completion_tokens":9' in sim.sim("last")["body"].replace(" ", "")


def test_embeddings_of_texts_and_of_a_query(sim):
    embeddings = OpenAIEmbeddings(model="sim-model", base_url=sim.url, api_key=sim.key,
                                  check_embedding_ctx_length=False)
    vectors = embeddings.embed_documents(["one", "two"])
    assert len(vectors) == 2 and len(vectors[0]) == 384
    assert len(embeddings.embed_query("one")) == 384


def test_tool_calls_stream_and_their_results_are_answered(chat):
    bound, whole = chat.bind_tools([get_weather]), None
    for piece in bound.stream("What is the weather?"):
        whole = piece if whole is None else whole + piece
    assert whole.tool_calls[0]["args"] == {"place": "Riyadh"}
    result = get_weather.invoke(whole.tool_calls[0])
    assert bound.invoke([HumanMessage("What is the weather?"), whole, result]).content


def test_asynchronous_chat_and_stream_are_the_same(chat):
    async def both():
        return (await chat.ainvoke("Hi")).content, "".join([p.content async for p in chat.astream("Hi")])
    whole, streamed = asyncio.run(both())
    assert whole == streamed


@pytest.mark.parametrize("asked, error, code", [
    ({"model": "nope"}, openai.NotFoundError, "model_not_found"),
    ({"api_key": "sk-wrong"}, openai.AuthenticationError, "invalid_api_key"),
    ({"extra_body": {"sim": {"fault": "status", "status": 500}}}, openai.InternalServerError, "upstream_error"),
])
def test_errors_are_the_sdks_with_our_codes(sim, asked, error, code):
    chat = ChatOpenAI(**{"model": "sim-model", "base_url": sim.url, "api_key": sim.key, "max_retries": 0, **asked})
    with pytest.raises(error) as raised:
        chat.invoke("Hi")
    assert raised.value.code == code
    with pytest.raises(error):
        list(chat.stream("Hi"))


def test_an_error_in_the_middle_of_a_stream_is_raised(sim):
    chat = ChatOpenAI(model="sim-model", base_url=sim.url, api_key=sim.key, max_retries=0,
                      extra_body={"sim": {"fault": "error_event", "at": 3}})
    with pytest.raises(openai.APIError):
        list(chat.stream("Hi"))


def test_what_may_succeed_later_is_tried_again(sim):
    before = sim.sim("counters")["calls"]
    chat = ChatOpenAI(model="sim-model", base_url=sim.url, api_key=sim.key, max_retries=1,
                      extra_body={"sim": {"fault": "status", "status": 503}})
    with pytest.raises(openai.InternalServerError):
        chat.invoke("Hi")
    assert sim.sim("counters")["calls"] == before + 2


def test_a_stream_that_is_left_is_cancelled_at_the_model_server(sim):
    before = sim.sim("counters")["aborted"]
    chat = ChatOpenAI(model="sim-model", base_url=sim.url, api_key=sim.key,
                      extra_body={"sim": {"tokens": 100000, "tokens_per_second": 50}})
    stream = chat.stream("Hi")
    next(stream)
    stream.close()
    until(lambda: sim.sim("counters")["aborted"] == before + 1, 5, "the call is aborted")


def test_a_real_model_through_langchain(real):
    chat = ChatOpenAI(model="smollm2", base_url=real.url, api_key=real.key, max_tokens=8)
    assert chat.invoke("Say hello.").content
    assert "".join(p.content for p in chat.stream("Say hello."))
    answer = chat.bind_tools([get_weather]).invoke("What is the weather?")
    assert answer.content or answer.tool_calls


def test_real_embeddings_through_langchain(real):
    embeddings = OpenAIEmbeddings(model="e5-small", base_url=real.url, api_key=real.key, check_embedding_ctx_length=False)
    a, b, c = embeddings.embed_documents(["The capital of Egypt is Cairo.", "القاهرة هي عاصمة مصر.", "Bananas are yellow fruit."])
    assert sum(x * y for x, y in zip(a, b)) > sum(x * y for x, y in zip(a, c))
    assert len(embeddings.embed_query("Where is Cairo?")) == len(a)


def test_a_real_models_errors_through_langchain(real):
    chat = ChatOpenAI(model="smollm2", base_url=real.url, api_key=real.key, max_retries=0, max_tokens=2)
    with pytest.raises(openai.BadRequestError) as raised:
        chat.invoke("word " * 3000)
    assert raised.value.code == "context_length_exceeded"


def test_a_real_models_stream_that_is_left_is_cancelled(real):
    gone = 'atlas_calls_total{outcome="client_gone"}'
    before = real.metric(gone)
    stream = ChatOpenAI(model="smollm2", base_url=real.url, api_key=real.key, max_tokens=1500).stream("Tell me a long story.")
    next(stream)
    stream.close()
    until(lambda: real.metric(gone) == before + 1, 5, "the call is cancelled")
