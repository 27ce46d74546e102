"""Compares the diagram of modules in docs/design.md with the includes of src/.

usage: modules_test.py [ROOT]
A line of the diagram is a chain "a, b ─▶ c ─▶ d": a and b may include c, c may include d, and so on to the right.
Reports an include that follows no arrows, an arrow that no include needs, a folder missing from the diagram, and a
cycle.
"""

import os
import pathlib
import re
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SOURCES = (".h", ".cpp", ".cu", ".cuh")


def drawn_arrows(document):
    """Returns the pairs (from, to) of the document's first diagram with arrows."""
    lines = [line for line in document.split("## ")[1].splitlines() if line.startswith("    ") and "─▶" in line]
    arrows = set()
    for line in lines:
        chain = [[name.strip() for name in place.split(",")] for place in line.split("─▶")]
        for left, right in zip(chain, chain[1:]):
            arrows.update((a, b) for a in left for b in right)
    return arrows


def reachable(arrows):
    """Maps each module to all modules to the right of it."""
    modules = {name for arrow in arrows for name in arrow}
    below = {name: {b for a, b in arrows if a == name} for name in modules}
    for middle in modules:  # Warshall's algorithm
        for name in modules:
            if middle in below[name]:
                below[name] |= below[middle]
    return below


def includes(source):
    """Yields the includes of one module by another: (module, included module, file, header)."""
    modules = [name for name in sorted(os.listdir(source)) if os.path.isdir(os.path.join(source, name))]
    for module in modules:
        for folder, _, files in os.walk(os.path.join(source, module)):
            for name in sorted(files):
                if not name.endswith(SOURCES):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    headers = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', file.read(), re.MULTILINE)
                for header in headers:
                    other = header.split("/")[0]
                    if "/" in header and other in modules and other != module:
                        yield module, other, os.path.relpath(path, source), header


def faults(root):
    with open(os.path.join(root, "docs", "design.md"), encoding="utf-8") as file:
        arrows = drawn_arrows(file.read())
    below = reachable(arrows)
    source = os.path.join(root, "src")
    folders = {name for name in os.listdir(source) if os.path.isdir(os.path.join(source, name))}
    for name in sorted(folders ^ set(below)):
        yield f"{name}: is in {'src/' if name in folders else 'the diagram'} only"
    for name in sorted(below):
        if name in below[name]:
            yield f"{name}: the arrows lead from it back to it"
    used = set()
    for module, other, path, header in includes(source):
        used.add((module, other))
        if other not in below.get(module, ()):
            yield f"src/{path} includes {header}: no arrows lead from {module} to {other}"
    for module, other in sorted(arrows - used):
        yield f"{module} ─▶ {other}: no file of {module} includes a header of {other}"


def finds_what_is_wrong():
    """Returns whether a small tree with one fault of each kind gives exactly those."""
    with tempfile.TemporaryDirectory() as root:
        files = {
            "docs/design.md": "# Design\n## Modules\n    a ─▶ b ─▶ c\n    a ─▶ d\n",
            "src/a/a.h": '#include "b/b.h"\n#include <c/c.h>\n#include "a/other.h"\n#include <vector>\n',
            "src/b/b.h": "  # include <c/c.h>\n",
            "src/c/c.h": '#include "a/a.h"\n',
            "src/e/e.h": "",
        }
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(faults(root)) == [
            "d: is in the diagram only",
            "e: is in src/ only",
            "src/c/c.h includes a/a.h: no arrows lead from c to a",
            "a ─▶ d: no file of a includes a header of d",
        ]


def main():
    if not finds_what_is_wrong():
        print("the comparison does not find what is wrong")
        return 1
    found = list(faults(os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
    for fault in found:
        print(fault)
    print(f"docs/design.md and src/: {len(found)} differences")
    return 1 if found else 0


sys.exit(main())
