# SPDX-License-Identifier: Apache-2.0
"""Chats stay with the model server that has read their beginning, while it is up, may be asked and has not too much to do."""
import collections
import concurrent.futures

import pytest

from harness.raw import events

TEXT = "The report of the ministry names the plants on the coast, their costs and who pays for them. "
QUIET = ("call_failed", "upstream_down", "upstream_up")


def served(*sims, **more):
    ups = {f"u{i}": {"url": s.base, **more.get(f"u{i}", {})} for i, s in enumerate(sims)}
    return {"upstreams": ups, "models": {"m": {"deployments": [{"upstream": u} for u in ups]}}}


class Chat:
    """One that sends all that was said before with every turn."""

    def __init__(self, gateway, name, system=None, headers=None):
        self.gateway, self.headers = gateway, headers
        self.messages = [{"role": "system", "content": system or f"You are {name}. " + 8 * TEXT}]

    def turn(self, headers=None, **members):
        self.messages.append({"role": "user", "content": f"And number {len(self.messages)}?"})
        got = self.gateway.post("/v1/chat/completions", {"model": "m", "messages": self.messages, **members},
                                headers={**(self.headers or {}), **(headers or {})})
        assert got.status_code == 200, got.text
        self.messages.append({"role": "assistant", "content": 3 * TEXT})
        return got


def server_of(got, sims):
    found = [i for i, s in enumerate(sims) if got.headers["x-request-id"] in s.calls()]
    assert len(found) == 1, found
    return found[0]


def talk(chat, sims, turns):
    return [server_of(chat.turn(), sims) for _ in range(turns)]


@pytest.fixture(scope="module")
def sims(make_sim):
    return [make_sim("--first-token-ms", 5, "--cache-tokens", 100000) for _ in range(3)]


@pytest.fixture(scope="module")
def gateway(make_gateway, sims):
    return make_gateway(served(*sims))


def test_each_chat_stays_with_one_server(gateway, sims):
    chats = [Chat(gateway, f"chat {i}") for i in range(12)]
    before = gateway.metrics()["atlas_prefix_known_total"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        went = list(pool.map(lambda c: talk(c, sims, 10), chats))
    assert [len(set(servers)) for servers in went] == [1] * len(chats), went
    assert len({servers[0] for servers in went}) > 1  # not all with the same
    assert gateway.metrics()["atlas_prefix_known_total"] - before == 9 * len(chats)


def test_its_beginning_is_not_read_again(gateway, sims):
    chat = Chat(gateway, "one that is cached")
    read = [(u["prompt_tokens"], u["prompt_tokens_details"]["cached_tokens"]) for u in (chat.turn().json()["usage"] for _ in range(4))]
    assert read[0][1] == 0
    for (before, _), (_, cached) in zip(read, read[1:]):
        assert before - 64 < cached <= before, read  # the body's other members are no part of it
    got = events(chat.turn(stream=True, stream_options={"include_usage": True}).text)
    assert got[-2]["usage"]["prompt_tokens_details"]["cached_tokens"] > read[-1][1]


def test_what_begins_otherwise_is_another_chat(gateway, sims):
    """Of the same length, and the same but for the first byte of what is said."""
    chosen = {server_of(Chat(gateway, "", system=f"{i:04}" + 8 * TEXT).turn(), sims) for i in range(40)}
    before = gateway.metrics()["atlas_prefix_known_total"]
    Chat(gateway, "", system="abcd" + 8 * TEXT).turn()
    assert gateway.metrics()["atlas_prefix_known_total"] == before and len(chosen) > 1


def test_many_that_begin_alike_do_not_all_go_to_one(make_gateway, make_sim):
    sims = [make_sim("--first-token-ms", 200) for _ in range(2)]
    gateway = make_gateway(served(*sims))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        went = collections.Counter(pool.map(lambda _: server_of(Chat(gateway, "the same").turn(), sims), range(64)))
    assert min(went[0], went[1]) >= 6, went  # all 64 by what was read alone


def test_a_session_that_is_named_stays_however_short(gateway, sims):
    for named in ({"headers": {"X-Session-Id": "s-1"}}, {"session_id": "s-2"}):
        went = set()
        for i in range(12):
            got = gateway.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": f"{i}?"}],
                                                        **{k: v for k, v in named.items() if k != "headers"}}, headers=named.get("headers"))
            assert got.status_code == 200
            went.add(server_of(got, sims))
        assert len(went) == 1, (named, went)


def test_a_chat_moves_when_its_server_dies_and_stays_there(make_gateway, make_sim):
    sims = [make_sim(), make_sim()]
    gateway = make_gateway(served(*sims))
    gateway.announce(*QUIET)
    chat = Chat(gateway, "one that moves")
    first = talk(chat, sims, 3)
    dead = sims[first[0]]
    dead.process.terminate()
    dead.process.wait(20)
    left = [s for s in sims if s is not dead]
    assert len(set(first)) == 1 and talk(chat, left, 5) == [0] * 5


def test_a_chat_goes_nowhere_that_it_may_not(make_gateway, make_sim):
    """Its beginning is known abroad: a turn that may not leave the home zone does not go there, whatever was read there."""
    sims = [make_sim(), make_sim()]
    gateway = make_gateway(served(*sims, u0={"zone": "test-zone"}, u1={"zone": "elsewhere"}))
    for i in range(60):
        chat = Chat(gateway, f"traveller {i}")
        if talk(chat, sims, 1) == [1]:
            break
    assert talk(chat, sims, 2) == [1, 1]
    for _ in range(3):
        assert server_of(chat.turn(headers={"X-Route-Policy": "local-only"}), sims) == 0


def test_what_was_read_where_is_known_behind_a_reload(make_gateway, make_sim):
    sims = [make_sim() for _ in range(3)]
    gateway = make_gateway(served(*sims))
    chats = [Chat(gateway, f"lasting {i}") for i in range(6)]
    before = [talk(c, sims, 2)[-1] for c in chats]
    config = served(*sims)
    config["models"]["other"] = {"upstream": "u0"}
    gateway.reload(config)
    assert [talk(c, sims, 1)[0] for c in chats] == before
