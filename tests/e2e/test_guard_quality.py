# SPDX-License-Identifier: Apache-2.0
"""How well values are found in labelled prompts: the reaches that are published are kept (docs/benchmarks.md). tests/guard/ makes and scores them."""
import json
import pathlib
import sys

import pytest

from harness.processes import ATLAS, SANITIZED

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "guard"))

import prompts  # noqa: E402
import score  # noqa: E402
import values  # noqa: E402
from chance import Chance  # noqa: E402

COUNT = 2000 if SANITIZED else 14000


@pytest.fixture(scope="module")
def labelled():
    return list(prompts.prompts(count=COUNT))


def test_the_same_seed_makes_the_same_prompts_and_another_makes_others(labelled):
    assert list(prompts.prompts(count=50)) == labelled[:50] != list(prompts.prompts(seed=2, count=50))


def test_labels_are_bytes_of_whole_characters_and_no_two_overlap(labelled):
    for prompt in labelled:
        data, end = prompt["text"].encode(), 0
        for label in prompt["labels"]:
            assert end <= label["start"] < label["end"] <= len(data)
            assert data[label["start"]:label["end"]].decode()
            end = label["end"]
    assert len(labelled) >= 10000 or SANITIZED
    assert {label["type"] for prompt in labelled for label in prompt["labels"]} == set(prompts.TYPES)


def test_made_values_keep_the_rules_of_their_kind():
    chance = Chance(7)
    for _ in range(500):
        assert values.passes_luhn(values.saudi("1")(chance))
        assert values.passes_luhn("".join(c for c in values.credit_card(chance) if c.isdigit()))
        assert values.passes_luhn("".join(c for c in values.emirates_id(chance) if c.isdigit()))
        iban = values.iban(chance).replace(" ", "").upper()
        assert int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
        kuwait = values.kuwait_id(chance)
        assert len(kuwait) == 12 and 11 - values.weighted(kuwait, values.KUWAIT) % 11 == int(kuwait[11])


@pytest.mark.parametrize("seed", [1] if SANITIZED else [1, 2])
def test_what_was_promised_is_reached(seed):
    """Of the seed that is published, and of another that nobody looked at."""
    result = score.measure(ATLAS, seed, COUNT)
    assert not result.broken(), "\n".join([*result.broken(), result.table(), json.dumps([p["text"] for p in result.flagged[:5]], ensure_ascii=False)])
