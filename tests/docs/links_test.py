"""Checks that every relative link in the documents leads to an existing file and, if it names one, to an existing
heading.

usage: links_test.py [ROOT]
Reads the Markdown files at the top level, in docs/ and in data/. Prints each broken link.
"""

import glob
import os
import re
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LINK = r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)|(?:src|srcset)=\"([^\"]+)\""


def prose(text):
    """Returns the document without its code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))


def anchors(text):
    """Returns the anchors that GitHub generates for the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def broken_links(root):
    documents = [path for pattern in ("*.md", "docs/*.md", "data/*.md") for path in glob.glob(f"{root}/{pattern}")]
    for document in sorted(documents):
        for groups in re.findall(LINK, prose(read(document)), re.MULTILINE):
            link = next(filter(None, groups))
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
            if not os.path.exists(target):
                yield f"{os.path.relpath(document, root)}: {link}: there is no such file"
            elif anchor and anchor not in anchors(read(target)):
                yield f"{os.path.relpath(document, root)}: {link}: there is no such heading"


def finds_broken_links():
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(f"{root}/docs")
        with open(f"{root}/README.md", "w", encoding="utf-8") as file:
            file.write('# A\n[a](docs/b.md#the-b-of-c) [b](docs/b.md#c) [c](none.md) `[d](none)` [e](https://x.y)\n<img src="no.png">\n')
        with open(f"{root}/docs/b.md", "w", encoding="utf-8") as file:
            file.write("# The `b` of c\n\n    [f](none)\n\n[g](../README.md#a)\n")
        return list(broken_links(root)) == [
            "README.md: docs/b.md#c: there is no such heading",
            "README.md: none.md: there is no such file",
            "README.md: no.png: there is no such file",
        ]


def main():
    if not finds_broken_links():
        print("the test does not find broken links")
        return 1
    broken = list(broken_links(os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
    print("\n".join([*broken, f"{len(broken)} broken links"]))
    return 1 if broken else 0


sys.exit(main())
