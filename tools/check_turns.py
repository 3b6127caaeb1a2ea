#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No loop over what peers send, or over all calls, without a budget: its head or body names one (spent, spend, budget,
slice, yield), or exceptions.txt has `turns FILE:FUNCTION` with the reason.

net_read(), net_writev() and the pulls over them (exchange_pull(), attempt_pull()) ask by themselves, so a loop that pulls
from those alone, and works in proportion to what it got, is none of these.
"""
import re

import tree

# What gives the next piece of something that a peer, or the number of peers, can make long.
PULLS = {
    "recv", "accept4", "SSL_read_ex",                                                      # the kernel and TLS
    "http_chunked_feed", "http_response_parse", "http_request_parse", "sse_parser_next",   # codecs
    "list_pop_front",                                                                      # calls, connections, tasks
}
PARTS = {"net", "http", "server", "upstream", "sse", "call", "gateway"}
BUDGET = re.compile(r"spent|spend|budget|slice|yield|\bEINTR\b")  # the same call again is no loop over input
LOOP = re.compile(r"\b(?:for|while|do)\b")
FUNCTION = re.compile(r"^[\w][^;={}]*?\b(\w+)\([^;{}]*\)\s*\n\{", re.M)
CALL = re.compile(r"(\w+)\s*\(")


def behind(code, at):
    """The index behind what closes the bracket at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "({") - (code[i] in ")}")
        if depth == 0:
            return i + 1
    return len(code)


def loop_at(code, at):
    """The text of the loop whose keyword ends at `at`, head and body in whatever order; none if it has a budget."""
    end = at
    for _ in range(2):
        start = end + len(code[end:]) - len(code[end:].lstrip())
        end = behind(code, start) if code[start] in "({" else code.index(";", start) + 1
    return "" if BUDGET.search(code, at, end) else code[at:end]


def main():
    wrong, used = [], set()
    for path in (p for p in tree.files("src/*.c") if p.parts[1] in PARTS):
        code = tree.code_of(path)
        for match in LOOP.finditer(code):
            pulls = PULLS.intersection(CALL.findall(loop_at(code, match.end())))
            names = [f.group(1) for f in FUNCTION.finditer(code) if f.start() < match.start()]
            thing = ("turns", f"{path}:{names[-1] if names else '?'}")
            used |= {thing} if pulls else set()
            if pulls and thing not in tree.excepted():
                wrong.append(f"{thing[1]}: a loop over {', '.join(sorted(pulls))} has no budget")
    unused = {row for row in tree.excepted() if row[0] == "turns"} - used
    tree.finish(wrong + [f"{tree.EXCEPTIONS}: nothing needs `{check} {thing}`" for check, thing in sorted(unused)])


main()
