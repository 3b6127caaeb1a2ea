# SPDX-License-Identifier: Apache-2.0
"""LangChain's chat and embeddings for OpenAI, with nothing changed but the base URL."""
import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


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


def test_a_real_model_through_langchain(real):
    chat = ChatOpenAI(model="smollm2", base_url=real.url, api_key=real.key, max_tokens=16)
    assert chat.invoke("Say hello.").content
