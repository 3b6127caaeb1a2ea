#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Presidio's analyzer on the same prompts, for the types that it has. Run by hand, in an environment of its own:

    python3 -m venv /tmp/presidio
    /tmp/presidio/bin/pip install presidio-analyzer==2.2.366 spacy==3.8.18
    /tmp/presidio/bin/python tests/guard/presidio_baseline.py [--count 14000] [--own]

Its pattern recognisers as shipped for English run on every prompt, over a blank spaCy pipeline: names of people are not asked for,
and it has no Arabic. Context words are compared with the words in small letters, as a blank pipeline has no lemmas.
A finding counts from a score of 0.5, as ours; with --least another. --gulf gives its telephone recogniser the regions of our prompts
instead of its own (US, GB, DE, FR, IL, IN, CA, BR).
"""
import argparse
import logging
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import prompts  # noqa: E402
import score  # noqa: E402

OURS = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card", "IBAN_CODE": "iban", "IP_ADDRESS": "ip_address", "MAC_ADDRESS": "mac_address"}
GULF = ("SA", "AE", "QA", "KW", "BH", "OM", "EG", "US", "GB", "IN")


def analyzer(gulf):
    import spacy
    from spacy.language import Language
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    @Language.component("words")
    def words(doc):
        for token in doc:
            token.lemma_ = token.lower_  # what context words are compared with
        return doc

    class Blank(SpacyNlpEngine):
        """English words and nothing else: models are no packages of the registry."""

        def __init__(self):
            super().__init__(ner_model_configuration=NerModelConfiguration())
            self.nlp = {"en": spacy.blank("en")}
            self.nlp["en"].add_pipe("words")

    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    if gulf:
        registry.remove_recognizer("PhoneRecognizer")
        registry.add_recognizer(PhoneRecognizer(supported_regions=GULF))
    return AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])


def found_by(engine, text, least):
    """Findings in our words: offsets in bytes, overlapping ones of a type once."""
    at, sizes = 0, [0]
    for letter in text:
        at += len(letter.encode())
        sizes.append(at)
    return [{"type": OURS[r.entity_type], "start": sizes[r.start], "end": sizes[r.end], "confidence": r.score}
            for r in engine.analyze(text=text, language="en", entities=list(OURS)) if r.score >= least]


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--count", type=int, default=14000)
    asked.add_argument("--least", type=float, default=score.ACTS)
    asked.add_argument("--misses", type=int, default=0)
    asked.add_argument("--gulf", action="store_true")
    asked.add_argument("--markdown", action="store_true")
    said = asked.parse_args()
    logging.disable(logging.WARNING)
    engine = analyzer(said.gulf)
    labelled = list(prompts.prompts(said.seed, said.count))
    result = score.Result(labelled, [found_by(engine, p["text"], said.least) for p in labelled], set(OURS.values()))
    score.show(result, said.misses)
    print(result.table(said.markdown))
    print(f"benign Arabic: {len(result.flagged)} of {result.benign} prompts flagged ({result.benign_rate:.4%})")


if __name__ == "__main__":
    main()
