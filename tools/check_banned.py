#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Functions that are never called, and the allocator that only base/memory.c may call."""
import re

import tree

BANNED = {
    "strcpy": "buf_put or memcpy with a checked length", "strcat": "buf_put",
    "sprintf": "snprintf or buf_format", "vsprintf": "vsnprintf", "strtok": "span_cut",
    "atoi": "span_to_u64", "atol": "span_to_u64", "atof": "strtod with its end checked",
    "gets": "fgets", "alloca": "an arena", "gmtime": "gmtime_r", "localtime": "localtime_r",
    "ctime": "clock.h", "asctime": "clock.h", "rand": "crypto/random.h", "srand": "crypto/random.h",
    "random": "crypto/random.h", "strerror": "strerror_r", "sleep": "a timer", "usleep": "a timer",
    "system": "posix_spawn", "popen": "posix_spawn", "tmpnam": "mkstemp", "mktemp": "mkstemp",
}
TESTS_MAY = {"popen", "system"}
ALLOCATOR = {"malloc", "calloc", "realloc", "free", "strdup", "strndup", "reallocarray", "asprintf",
             "aligned_alloc", "posix_memalign", "vasprintf"}


def main():
    wrong = []
    call = re.compile(r"(?<![\w.>])(\w+)\s*\(")
    for path in tree.files("src/*.c", "src/*.h", "tests/*.c", "tests/*.h"):
        for number, line in enumerate(tree.code_of(path).splitlines(), 1):
            for name in call.findall(line):
                if name in BANNED and not (path.parts[0] == "tests" and name in TESTS_MAY):
                    wrong.append(f"{path}:{number}: {name} is banned; use {BANNED[name]}")
                elif name in ALLOCATOR and path.parts[0] == "src" and path.stem != "memory" \
                        and ("allocator", str(path)) not in tree.excepted():
                    wrong.append(f"{path}:{number}: {name}: memory comes from base/memory.h alone")
    tree.finish(wrong)


main()
