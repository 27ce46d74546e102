"""Copies the complete files that documents show into a folder.

usage: extending_files.py DOCUMENT... FOLDER
A file is a fenced block of C++ or TOML below a line with only its path, in backquotes. Prints the paths of the copies.
A copy that is up to date is not written again, and one that no document shows any more is removed.
"""

import pathlib
import re
import sys

FILE = r"^`([a-z_]+(?:/[a-z_0-9]+)+\.[a-z]+)`\n\n```[a-z]+\n(.*?)^```$"


def shown_files(text):
    """Returns the files' contents by path."""
    found = re.findall(FILE, text, re.MULTILINE | re.DOTALL)
    blocks = len(re.findall(r"^```(?:cpp|toml)$", text, re.MULTILINE))
    assert found and blocks == len(found), f"{blocks} blocks of C++ or TOML, {len(found)} of them below a path"
    files = dict(found)
    assert len(files) == len(found), "two files have one path"
    return files


def main():
    files = {}
    for document in sys.argv[1:-1]:
        files.update(shown_files(pathlib.Path(document).read_text(encoding="utf-8")))
    folder = pathlib.Path(sys.argv[-1])
    for old in folder.rglob("*.*"):
        if old.relative_to(folder).as_posix() not in files:
            old.unlink()
    for name, text in files.items():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")
        print(copy)


main()
