# SPDX-License-Identifier: Apache-2.0
"""What routing adds to a whole call: `auto-router`, decided by 100 rules and the language of the prompt, beside the same call to
the same gateway with its model named, which asks no rule."""
import collections
import json
import statistics

import systems

RULES = 100
COUNTED = 3  # counts of instructions, of which the median is taken: a start may do more or less
QUESTIONS = {"English": "Summarise the costs in a table, and say which figures are estimates.",
             "Arabic": "لخّص التكاليف في جدول، واذكر أي الأرقام تقديرات فقط من فضلك."}
Call = collections.namedtuple("Call", "name body")


def condition(number):
    """A quarter each of four kinds that operators write; it holds for no call of this bench."""
    kinds = (f"language == 'fa' && prompt_tokens > {number}", f"prompt_tokens > 100{number} && stream",
             f"team in ['treasury', 'audit-{number}']", f"headers['x-app'] == 'app-{number}'")
    return kinds[number % len(kinds)]


class Routed(systems.Atlas):
    """With so many rules, of which the last holds."""

    def prepare(self):
        rules = [{"name": f"rule-{at}", "condition": condition(at), "model": "bench-model"} for at in range(RULES - 1)]
        (self.folder / "routing_config.yaml").write_text(json.dumps({"routes": [*rules, {"name": "rest", "model": "bench-model"}]}))
        super().prepare()


def calls(chat_body):
    """Each question as a call by name and by rules, of the same bytes but for the model."""
    out = []
    for language, question in QUESTIONS.items():
        for way, model in (("named", "bench-model"), ("routed", "auto-router")):
            body = json.loads(chat_body(1700))
            body["model"] = model
            body["messages"][-1] = {"role": "user", "content": question}
            out.append(Call(f"{language}, {way}", json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()))
    return out


def ratios(figures, key):
    """The median of the ratios of rounds, each of which has the same of the machine."""
    return {language: statistics.median(routed[key] / named[key] for routed, named in
                                        zip(figures[f"{language}, routed"], figures[f"{language}, named"])) for language in QUESTIONS}


def measure(world, load, options, chat_body, rounds_of, medians):
    """CPU a call and calls a second, in turns; and instructions in user space, which do not depend on the machine's other work."""
    system = Routed("atlas-routed", world.first_port + 13, world)
    made = calls(chat_body)
    try:
        system.start()
        for call in made:
            load.wrk(system, call.body, 1)
        rounds = rounds_of(options.rounds, made, lambda call: load.wrk(system, call.body, options.seconds))
    finally:
        system.stop()
    timed, counts = medians(rounds), {}
    for call in made:
        counts[call.name] = [{"instructions": systems.instructions_a_call(system, load, call.body)} for _ in range(COUNTED)]
        timed[call.name]["instructions"] = statistics.median(row["instructions"] for row in counts[call.name])
    return {"rules": RULES, "calls": timed, "counts": counts, "cpu": ratios(rounds, "cpu_us"), "instructions": ratios(counts, "instructions")}


def markdown(result):
    text = (f"\n| a call of 1.7 kB, {result['rules']} rules | CPU, µs | calls/s | instructions |\n| --- | ---: | ---: | ---: |\n")
    for name, row in result["calls"].items():
        text += f"| {name} | {row['cpu_us']:.1f} | {row['calls_s']:,.0f} | {row['instructions']:,} |\n"
    for language in QUESTIONS:
        text += f"| {language}, routed of named | {result['cpu'][language]:.2f} × | | {result['instructions'][language]:.2f} × |\n"
    return text
