# SPDX-License-Identifier: Apache-2.0
"""Organisations, teams, users and keys of a test, and what is allowed each."""
import decimal
import itertools
import json
import re

from harness.processes import SLOWER
from harness.raw import Raw
from harness.waiting import until

LEVELS = ("key", "user", "team", "organisation", "tag")
HI = [{"role": "user", "content": "hi"}]
_numbers = itertools.count()


def make(gateway, what, **body):
    made = gateway.admin("POST", f"/admin/v1/{what}", json=body)
    assert made.status_code == 201, made.text
    return made.json()


class Tree:
    """An organisation, its team, that one's user, and a key of theirs that bears a tag of its own."""

    def __init__(self, gateway, **key):
        self.gateway = gateway
        self.number = next(_numbers)
        self.organisation = make(gateway, "organisations", name=f"organisation {self.number}")["id"]
        self.team = make(gateway, "teams", name=f"team {self.number}", organisation=self.organisation)["id"]
        self.user = make(gateway, "users", name=f"user {self.number}", team=self.team)["id"]
        self.tag = f"tree={self.number}"
        self.made = self.new_key(**key)
        self.key, self.secret = self.made["id"], self.made["key"]

    def id(self, level):
        return getattr(self, level)

    def new_key(self, **more):
        own = {"team": self.team, "user": self.user, "tags": {"tree": str(self.number)}}
        return self.gateway.new_key(f"key of {self.number}", **{**own, **more})

    def sibling(self, level):
        """The secret of another key that `level` is the narrowest common level of."""
        if level == "user":
            return self.new_key()["key"]
        if level == "team":
            return self.new_key(user=None)["key"]
        number = next(_numbers)
        organisation = make(self.gateway, "organisations", name=f"other {number}")["id"] if level == "tag" else self.organisation
        team = make(self.gateway, "teams", name=f"other team {number}", organisation=organisation)["id"]
        return self.new_key(team=team, user=None, **({} if level == "tag" else {"tags": {}}))["key"]

    def limit(self, level, **limits):
        set_ = self.gateway.admin("POST", "/admin/v1/limits", json={level: self.id(level), **limits})
        assert set_.status_code in (200, 201), set_.text
        return set_.json()

    def budget(self, level, amount, **more):
        return make(self.gateway, "budgets", **{level: self.id(level), "amount": amount, "window": "total", **more})["id"]


def budgets(gateway):
    """All that have not ended, by their ids."""
    def listed():
        got = gateway.admin("GET", "/admin/v1/budgets")
        return got.status_code != 503 and got  # one that was just made has no place in the order while the database lags

    said = until(listed, 10 * SLOWER, "a list of budgets").json()
    assert not said["has_more"]
    return {b["id"]: b for b in said["data"]}


def nano(text):
    """A money string as billionths."""
    exact = decimal.Decimal(text) * 10**9
    assert exact == int(exact), text
    return int(exact)


def body_of(model, **members):
    return {"model": model, "messages": HI, "max_tokens": 20, **members}


def ask(gateway, secret, model="m", raw=None, path="/v1/chat/completions", **members):
    """One call; on a connection of its own unless it is given one."""
    if raw is not None:
        raw.request("POST", path, body_of(model, **members), headers=[("Authorization", f"Bearer {secret}")] if secret else [])
        return raw.read_reply()
    with Raw(gateway.port, secret, timeout=30) as own:
        own.request("POST", path, body_of(model, **members))
        return own.read_reply()


def error(reply):
    return reply.json["error"]


def records(gateway, kind="completion"):
    gateway.command("usage")  # it answers when all records before it are on the disk
    said = gateway.command("journal", "print")
    assert said.returncode == 0, said.stderr
    return [r for r in map(json.loads, said.stdout.splitlines()) if kind in (None, r["kind"])]


DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")


def seconds(text):
    """A duration as OpenAI writes it."""
    m = DURATION.fullmatch(text)
    assert m and text, text
    h, minutes, s, ms = (float(part or 0) for part in m.groups())
    return h * 3600 + minutes * 60 + s + ms / 1000
