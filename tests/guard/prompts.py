#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Labelled prompts, in Arabic, English and both: what the guard is measured by.

    prompts.py [--seed 1] [--count 14000]   → a line of JSON a prompt: {"text", "lang", "labels": [{"type", "start", "end"}], "tags"}

Labels are bytes of the text in UTF-8. They say what a careful reader would say: a value is labelled by what it is, however it is
written, and what is none is not, however it looks. Nothing here knows how the guard works, nor may it be fitted to that.

tags   benign       nothing of anybody, nor what looks like it
       hard         what looks like a value and is none; "passes-luhn": even to its check digit
       keyed, bare  whether a word says what the value is
       obfuscated   other digits, marks of direction, characters without width, tatweel, odd spaces, other signs
       unchecked    its check digit does not fit, as may be of ids whose rule nobody published
       form         several values, as in a form
"""
import argparse
import json
import sys

import benign
import hard
import sentences
import values
from chance import Chance

TYPES = list(sentences.KEYED)
CHECKED = ("credit_card", "iban", "saudi_id", "iqama", "emirates_id", "kuwait_id")
SAYS_ITSELF = CHECKED + ("email", "phone", "egypt_id", "ip_address", "mac_address", "url_credentials", "secret", "private_key")
DIGIT_TYPES = ("phone", "credit_card", "saudi_id", "iqama", "emirates_id", "qatar_id", "kuwait_id", "bahrain_id", "oman_id", "egypt_id", "date_of_birth")

EASTERN, PERSIAN, WIDE = (str.maketrans("0123456789", d) for d in ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "０１２３４５６７８９"))
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad"]
DIRECTION = ["\u200e", "\u200f", "\u202a", "\u202c", "\u2066", "\u2069", "\u061c"]
SPACES = ["\u00a0", "\u2009", "\u202f", "\u2007"]
DASHES = ["\u2010", "\u2011", "\u2013", "\u2212"]


# ---- how it is written ----

def sprinkle(chance, value, signs):
    """One to three of the signs inside the value."""
    for _ in range(chance.between(1, 3)):
        at = chance.between(1, len(value) - 1)
        value = value[:at] + chance.pick(signs) + value[at:]
    return value


def obfuscate(chance, kind, value):
    ways = [lambda v: sprinkle(chance, v, INVISIBLE), lambda v: sprinkle(chance, v, DIRECTION)]
    if kind in DIGIT_TYPES:
        ways += [lambda v: v.translate(EASTERN), lambda v: v.translate(EASTERN), lambda v: v.translate(PERSIAN), lambda v: v.translate(WIDE),
                 lambda v: sprinkle(chance, v.translate(EASTERN), DIRECTION), lambda v: sprinkle(chance, v.translate(EASTERN), ["ـ"]),
                 lambda v: v[:len(v) // 2].translate(EASTERN) + v[len(v) // 2:]]
    if kind == "iban":
        ways += [lambda v: v[:2] + v[2:].translate(EASTERN), lambda v: v.translate(WIDE)]
    if kind == "email":
        ways += [lambda v: v.replace("@", "＠"), lambda v: v.replace(".", "．")]
    if " " in value:
        space = chance.pick(SPACES)
        ways.append(lambda v: v.replace(" ", space))
    if "-" in value and kind in DIGIT_TYPES:
        dash = chance.pick(DASHES)
        ways.append(lambda v: v.replace("-", dash))
    return chance.pick(ways)(value)


def write(chance, kind, lang, tags):
    """Parts of one value: texts that are no value, and (type, text)."""
    if kind == "url_credentials":
        before, value, sign, host, rest = values.url_credentials(chance)
        return [before, (kind, value), sign, ("ip_address", host) if host[0].isdigit() else host, rest]
    if kind == "private_key":
        return [(kind, values.private_key(chance, chance.pick(["\n", "\\n", "\\n", " "])))]
    if kind == "secret":
        if chance.one_in(3):
            before, make = chance.pick(values.KEYED)
            tags.append("keyed")
            value = make(chance)
            return [before, (kind, value), "\"" if before.endswith("\"") else ""]
        return [(kind, chance.pick(values.TOKENS)(chance))]
    if kind == "emirates_id" and "keyed" in tags and chance.one_in(20):
        tags.append("unchecked")
        value = values.emirates_unchecked(chance)
    elif kind == "phone" and "keyed" in tags and chance.one_in(16):
        tags.append("local")
        value = values.local_phone(chance)
    elif kind == "date_of_birth" and lang != "mix" and chance.one_in(4):
        value = values.date_in_words(chance, lang)
    else:
        value = values.MAKERS[kind](chance)
    if chance.one_in(4):
        tags.append("obfuscated")
        value = obfuscate(chance, kind, value)
    elif kind in DIGIT_TYPES and lang == "ar" and chance.one_in(4):
        value = value.translate(EASTERN)  # as it is written every day
    return [(kind, value)]


SPELT = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ة": "ه", "ى": "ي"})  # as it is typed in haste
MARKS = ["\u064e", "\u064f", "\u0650", "\u0652"]


def spell(chance, text):
    """Words as people type them: other cases, hamza and dots left out, at times tatweel or vowel marks."""
    way = chance.below(30)
    if way < 3:
        return text.translate(SPELT)
    if way == 3:
        return text.upper()
    if way == 4:
        return text.lower()
    if way in (5, 6):
        letters = [i for i in range(1, len(text)) if "\u0628" <= text[i - 1] <= "\u064a" and "\u0621" <= text[i] <= "\u064a"]
        if letters:
            at = chance.pick(letters)
            return text[:at] + (chance.pick(["ـ", "ـــ"]) if way == 5 and text[at - 1] not in "ةدذرزوىاأإآء" else chance.pick(MARKS)) + text[at:]
    return text


def place(chance, template, lang, parts):
    """The template's text with the parts where {} stands."""
    before, behind = template.split("{}")
    named = lambda text: spell(chance, text).replace("{n}", chance.pick(sentences.NAMES[lang])).replace("{N}", chance.pick(sentences.NAMES[lang]))  # noqa: E731
    return [named(before), *parts, named(behind)]


def frame(chance, lang, parts):
    opening = chance.pick(sentences.OPEN[lang]).replace("{n}", chance.pick(sentences.NAMES[lang]))
    closing = chance.pick(sentences.CLOSE[lang])
    ends = [".", ".", "", " ", "،" if lang == "ar" else ",", "!", "؟" if lang == "ar" else "?"]
    return [opening, *parts, chance.pick(ends) if closing else chance.pick(["", "", ".", "؟" if lang == "ar" else "?"]), closing]


# ---- prompts ----

def one_value(chance, kind, lang):
    # a key is a key whatever stands around it; what checks itself stands alone at times; of the rest a reader needs a word
    is_bare = kind in SAYS_ITSELF and kind not in ("private_key", "secret", "url_credentials") and chance.one_in(4)
    tags = ["bare" if is_bare else "keyed"]
    if kind == "secret":
        tags = []
    parts = write(chance, kind, lang, tags)
    if kind == "secret" and "keyed" in tags:
        return frame(chance, lang, ["", *parts, ""]), tags
    template = chance.pick(sentences.BARE[lang] if is_bare else sentences.KEYED[kind][lang])
    return frame(chance, lang, place(chance, template, lang, parts)), tags


def form(chance, lang):
    """Two to five values with their words, as forms, mails and records have them."""
    kinds = [k for k in TYPES if k not in ("private_key", "secret")]
    chance.shuffle(kinds)
    tags, parts = ["form", "keyed"], []
    sign = chance.pick(["; ", "، " if lang == "ar" else ", ", " | ", " - ", ". ", "\n"])
    for kind in kinds[:chance.between(2, 5)]:
        parts += [sign if parts else "", *place(chance, chance.pick(sentences.KEYED[kind][lang]), lang, write(chance, kind, lang, tags))]
    return frame(chance, lang, parts), tags


def none(chance, lang):
    kind = "order" if chance.one_in(4) else chance.pick(list(hard.MAKERS))
    template = chance.pick(sentences.HARD[kind][lang])
    value, tags = hard.MAKERS[kind](chance)
    value = value.translate(EASTERN) if lang == "ar" and kind not in ("hash", "uuid", "handle") and chance.one_in(4) else value
    parts = [template] if "{}" not in template or kind == "secret_talk" else place(chance, template, lang, [value])
    return frame(chance, lang, parts), ["hard", kind, *tags]


def render(parts):
    text, labels, at = [], [], 0
    for part in parts:
        kind, piece = part if isinstance(part, tuple) else (None, part)
        size = len(piece.encode())
        if kind:
            labels.append({"type": kind, "start": at, "end": at + size})
        text.append(piece)
        at += size
    return "".join(text), labels


def prompts(seed=1, count=14000):
    """So many prompts: half with one value of each type in turn, the rest forms, hard negatives and benign ones."""
    chance = Chance(seed)
    langs = ("en", "en", "ar", "ar", "mix")
    for number in range(count):
        lang, share = chance.pick(langs), number % 20
        if share < 11:
            parts, tags = one_value(chance, TYPES[(number // 20 * 11 + share) % len(TYPES)], lang)
        elif share == 11:
            parts, tags = form(chance, lang)
        elif share < 15:
            parts, tags = none(chance, lang)
        elif share < 19:
            lang, parts, tags = "ar", [benign.arabic(chance)], ["benign"]
        else:
            lang, parts, tags = "en", [benign.english(chance)], ["benign"]
        text, labels = render(parts)
        yield {"text": text, "lang": lang, "labels": labels, "tags": tags}


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--count", type=int, default=14000)
    said = asked.parse_args()
    for prompt in prompts(said.seed, said.count):
        sys.stdout.write(json.dumps(prompt, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
