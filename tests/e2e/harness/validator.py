# SPDX-License-Identifier: Apache-2.0
"""An OpenAPI validator of others' making: installed by version and hash into the cache folder, once."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

LOCK = pathlib.Path(__file__).parent.parent / "requirements.lock"

# Reads {"document": …, "replies": [[method, path, status, body], …]}; prints what is wrong, a line each.
PROGRAM = """
import json, sys
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

asked = json.load(sys.stdin)
document = asked["document"]
wrong = [f"document: {e.json_path}: {e.message}" for e in OpenAPIV31SpecValidator(document).iter_errors()]
registry = Registry().with_resource("urn:api", Resource(document, DRAFT202012))
for method, path, status, body in [] if wrong else asked["replies"]:
    at = ["paths", path, method.lower(), "responses", str(status)]
    found = document
    for step in at:
        if step not in found:
            break
        found = found[step]
    else:
        if "$ref" in found:
            at = found["$ref"].split("/")[1:]
        where = "/".join(step.replace("~", "~0").replace("/", "~1") for step in [*at, "content", "application/json", "schema"])
        rule = Draft202012Validator({"$ref": f"urn:api#/{where}"}, registry=registry,
                                    format_checker=Draft202012Validator.FORMAT_CHECKER)
        wrong += [f"{method} {path} {status}: {e.json_path}: {e.message}" for e in rule.iter_errors(body)]
        continue
    wrong.append(f"{method} {path}: {status} is not described")
print(*wrong, sep="\\n", end="")
"""


def python():
    """The interpreter that has the validator."""
    mark = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    home = cache / "atlas" / f"openapi-{mark}"
    if not (home / ".complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes",
                        "-r", LOCK], check=True)
        (home / ".complete").touch()
    return home / "bin" / "python"


def complaints(document, replies=()):
    """What is wrong with the document, and with replies (method, path of the document, status, body) by it."""
    said = subprocess.run([python(), "-c", PROGRAM], input=json.dumps({"document": document, "replies": list(replies)}),
                          check=True, capture_output=True, text=True)
    return said.stdout.splitlines()
