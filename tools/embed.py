#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py FILE OUT: writes the bytes of a file as the inside of an array in C."""
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_bytes()
rows = (text[at:at + 24] for at in range(0, len(text), 24))
pathlib.Path(sys.argv[2]).write_text("".join(",".join(map(str, row)) + ",\n" for row in rows))
