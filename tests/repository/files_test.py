"""Checks that the files in the repository agree with .editorconfig, and that the files in .github only name existing
files."""

import configparser
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked_files():
    """Returns git's tracked files that exist. Skips the test in the image, which has no git."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True)
    if listed.returncode != 0:
        raise unittest.SkipTest("this is no clone")
    return [path for name in listed.stdout.decode().split("\0")[:-1] if (path := ROOT / name).is_file()]


class EditorConfig(unittest.TestCase):
    def setUp(self):
        self.sections = configparser.ConfigParser()
        self.sections.read_string("[root]\n" + (ROOT / ".editorconfig").read_text())

    def test_agrees_with_clang_format(self):
        columns = re.search(r"^ColumnLimit: (\d+)", (ROOT / ".clang-format").read_text(), re.MULTILINE)[1]
        self.assertEqual(self.sections["*.{h,cpp,cu,cuh}"]["max_line_length"], columns)
        # BasedOnStyle: Google, which indents by two spaces.
        self.assertEqual((self.sections["*"]["indent_style"], self.sections["*"]["indent_size"]), ("space", "2"))

    def test_files_are_as_it_says(self):
        for path in tracked_files():
            data = path.read_bytes()
            if "tests/fuzz/corpus" in str(path) or b"\0" in data or not data:
                continue
            with self.subTest(path=path.relative_to(ROOT)):
                data.decode("utf-8")
                self.assertTrue(data.endswith(b"\n"), "the last line has no end")
                self.assertNotRegex(data, rb"[ \t]\r?\n", "spaces at the end of a line")
                self.assertEqual(data.count(b"\r\n"), data.count(b"\n") if path.suffix == ".cmd" else 0)
                if path.name == "Makefile" or path.suffix == ".mk":
                    self.assertNotRegex(data, rb"\n +@", "a recipe that begins with spaces")


class GitHub(unittest.TestCase):
    def test_names_files_that_exist(self):
        named = 0
        for path in (ROOT / ".github").rglob("*"):
            if not path.is_file():
                continue
            for name in re.findall(r"(?<![\w./~-])(?:\.\./blob/main/)?((?:\.ci|configs|data|docs|scripts)/[\w./-]*\w)", path.read_text()):
                with self.subTest(file=path.name):
                    self.assertTrue((ROOT / name).exists(), name)
                named += 1
        self.assertGreater(named, 0)

    def test_a_bug_report_requires_the_machines_facts(self):
        form = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text()
        field = next(part for part in form.split("\n  - type: ") if "\n    id: check\n" in part)
        self.assertIn("trainyard check --json", field)
        self.assertIn("required: true", field)


if __name__ == "__main__":
    unittest.main()
