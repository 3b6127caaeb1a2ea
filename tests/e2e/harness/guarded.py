# SPDX-License-Identifier: Apache-2.0
"""Values that the guard finds, a gateway that looks for them, and what is said of a refusal."""
import itertools
import json
import pathlib
import sys

from harness.raw import events
from harness.upstream import CHAT, chunk

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "guard"))

PATH = "/v1/chat/completions"

# Nobody's: made by the rules of their kind.
SAUDI, SAUDI_2, SAUDI_EASTERN = "1012345672", "1098765439", "١٠١٢٣٤٥٦٧٢"
IQAMA = "2123456788"
CARD = "4539578763621486"
EMAIL, EMAIL_2 = "khalid.alharbi@najd-logistics.com", "noura@stc.com.sa"
PHONE = "+966551234567"
IBAN = "SA0380000000608010167519"
SECRET = "ghp_Zk3vQ8mT1xLw9RbYc5NdHs7JfGp2AeUo4iKq"
JWT_LIKE_KEY = "sk_live_9fK2mQ7xT4vB8nLw3RzYc6Hd"
EGYPT = "29003240323254"
PASSPORT = "passport number A12345678"
PEM_LINES = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
             "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu", "-----END PRIVATE KEY-----"]
PEM = "\n".join(PEM_LINES)

# type: (value, the text around it)
VALUES = {
    "saudi_id": (SAUDI, "my national ID is {}, please check"), "iqama": (IQAMA, "my iqama number is {} since May"),
    "email": (EMAIL, "write to {} today"), "phone": (PHONE, "call me on {} after noon"), "credit_card": (CARD, "my card {} was charged twice"),
    "iban": (IBAN, "transfer it to IBAN {} please"), "egypt_id": (EGYPT, "national ID number {} of Cairo"), "secret": (SECRET, "the token {} leaked"),
    "emirates_id": ("784-1988-1234567-0", "Emirates ID {} attached"), "kuwait_id": ("288010112343", "Civil ID {} of hers"),
    "ip_address": ("212.118.44.17", "the server {} does not answer"), "mac_address": ("3c:5a:b4:01:9e:77", "MAC address {} is blocked"),
    "url_credentials": ("svc:Qm7xT4vB8nLw", "connect to postgres://{}@db.internal:5432/orders now"),
    "date_of_birth": ("12/03/1988", "date of birth {} as written"), "passport": ("A12345678", "passport number {} expires"),
    "qatar_id": ("28863412345", "my QID is {} too"), "bahrain_id": ("880312345", "CPR {} of Manama"), "oman_id": ("73123456", "Omani civil number {} too"),
}


def guard(mode="enforce", default="allow", prompts=None, replies=None, **more):
    return {"mode": mode, "prompts": {"default": default, **(prompts or {})}, "replies": {"default": "allow", **(replies or {})}, **more}


_numbers = itertools.count()


def key_of(gateway, **policy):
    """The secret of a key whose team has that guard upon the gateway's."""
    name = f"guarded {next(_numbers)}"
    made = gateway.admin("POST", "/admin/v1/teams", json={"name": name})
    assert made.status_code == 201, made.text
    if policy:
        changed = gateway.admin("PATCH", f"/admin/v1/teams/{made.json()['id']}", json={"guard": policy})
        assert changed.status_code == 200, changed.text
    return gateway.new_key(name, team=name)["key"]


def keys_of(gateway):
    """A key for each policy, made once."""
    made = {}

    def of(**policy):
        name = json.dumps(policy, sort_keys=True)
        if name not in made:
            made[name] = key_of(gateway, **policy)
        return made[name]
    return of


def is_blocked(got, kind="pii_detected", *entities):
    """A prompt's refusal, as the documents say."""
    assert got.status_code == 400, got.text
    error = got.json()["error"]
    assert error["code"] == "content_filter" and error["type"], error
    assert error["details"]["violation_type"] == kind
    assert error["details"]["action_taken"] == "request_blocked"
    if entities:
        assert sorted(error["details"]["entities"]) == sorted(entities)
    return error


def seen(upstream):
    """The body that came to the model server, as text with nothing escaped."""
    return json.dumps(json.loads(upstream.last.body), ensure_ascii=False)


def said(message, finish="stop", **more):
    """A whole reply with that message."""
    return {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": None, **message}, "logprobs": None, "finish_reason": finish}], **more}


def deltas(pieces, member="content"):
    """A stream's chunks that say these pieces."""
    return [chunk({"role": "assistant", member: ""}), *(chunk({member: piece}) for piece in pieces)]


class Heard:
    """What a caller made of a stream: by choice its text, reasoning, refusal, arguments of calls, and finish."""

    def __init__(self, body):
        self.events = events(body)
        self.chunks = [e for e in self.events if e != "[DONE]"]
        self.texts, self.finish, self.arguments, self.usage = {}, {}, {}, None
        for event in self.chunks:
            self.usage = event.get("usage") or self.usage
            for choice in event.get("choices", []):
                self._add(choice)

    def _add(self, choice):
        index, delta = choice["index"], choice.get("delta") or {}
        for member in ("content", "reasoning", "reasoning_content", "refusal"):
            key = (index, "reasoning" if member == "reasoning_content" else member)
            self.texts[key] = self.texts.get(key, "") + (delta.get(member) or "")
        if "text" in choice:
            self.texts[index, "content"] = self.texts.get((index, "content"), "") + choice["text"]
        for call in delta.get("tool_calls") or []:
            key = index, call["index"]
            self.arguments[key] = self.arguments.get(key, "") + ((call.get("function") or {}).get("arguments") or "")
        if choice.get("finish_reason"):
            assert index not in self.finish, "a choice ends once"
            self.finish[index] = choice["finish_reason"]

    def text(self, index=0, member="content"):
        return self.texts.get((index, member), "")
