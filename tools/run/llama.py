#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""llama.py SITE MODEL NAME PORT [TEMPLATE]: the llama.cpp server of the unpacked package in SITE.

Serves the GGUF file MODEL as NAME on 127.0.0.1:PORT. With TEMPLATE (a Jinja file) the model is a
base model: messages are written by it, an answer ends with its line, and a mild penalty keeps the
model from repeating itself.
"""
import pathlib
import sys
import threading

site, model, name, port, *template = sys.argv[1:]
sys.path.insert(0, site)
import xllamacpp  # noqa: E402  (found only once its folder is known)

params = xllamacpp.CommonParams()
params.model.path = model
params.model_alias = {name}
params.hostnames = ["127.0.0.1"]
params.port = int(port)
params.n_parallel = 4
params.n_ctx = 4 * 2048
params.endpoint_metrics = True
params.ui = False
params.warmup = False
params.verbosity = 2
if template:
    params.use_jinja = True
    params.chat_template = pathlib.Path(template[0]).read_text()
    params.antiprompt = ["\n"]
    params.sampling.penalty_repeat = 1.1
server = xllamacpp.Server(params)
threading.Event().wait()
