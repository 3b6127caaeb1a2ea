# SPDX-License-Identifier: Apache-2.0
"""What the checkers share: the files of the tree, C without its comments, the parts table, the symbols
of its objects, and one way to say what is wrong."""
import functools
import pathlib
import re
import subprocess
import sys

EXCEPTIONS = pathlib.Path("tools/exceptions.txt")


def files(*patterns):
    """The files that git knows or would know, as paths from the top of the tree."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                            check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(path for path in map(pathlib.Path, set(listed)) if path.is_file())


def code_of(path):
    """A C file's text with comments and the contents of strings blanked, lines kept."""
    def blank(match):
        text = match.group(0)
        if text[0] in "\"'":
            return text[0] + "_" * (len(text) - 2) + text[0]
        return re.sub(r"[^\n]", " ", text)
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank,
                  path.read_text(), flags=re.S)


@functools.cache
def parts():
    """The parts table of src/meson.build: {part: (its sources, the parts that it may use)}."""
    text = re.sub(r"#[^\n]*", "", pathlib.Path("src/meson.build").read_text())
    table = text[text.index("parts = ["):text.index("\n]\n")]
    row = re.compile(r"\[\s*'(\w+)',\s*\[([^]]*)\],\s*\[([^]]*)\]")
    return {name: (re.findall(r"'([^']+)'", sources), re.findall(r"'(\w+)'", uses))
            for name, sources, uses in row.findall(table)}


def symbols():
    """(defined, needed) in the objects of build-unit: sets of (object, symbol), as the linker sees them."""
    folder = pathlib.Path("build-unit")
    subprocess.run(["tools/build.sh", folder, "-Dslow_checks=true"], check=True, stdout=subprocess.DEVNULL)
    objects = sorted(map(str, folder.glob("**/*.o")))
    said = subprocess.run(["nm", "-A", "-P", "-g", *objects], check=True, capture_output=True, text=True)
    defined, needed = set(), set()
    for line in said.stdout.splitlines():
        where, name, kind = re.match(r"(\S+): (\S+) (\S)", line).groups()
        (needed if kind in "Uw" else defined).add((where, name))
    return defined, needed


@functools.cache
def excepted():
    """The rows of exceptions.txt, `CHECK THING reason`, as {(check, thing)}."""
    rows = [line.split(None, 2) for line in EXCEPTIONS.read_text().splitlines()
            if line and line[0] != "#"]
    if any(len(row) < 3 for row in rows):
        sys.exit(f"{EXCEPTIONS}: a row is CHECK THING and a reason")
    return {(check, thing) for check, thing, _ in rows}


def finish(wrong):
    """Prints what is wrong, a line each, and ends the checker."""
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)
