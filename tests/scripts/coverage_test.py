"""Tests scripts/coverage with stand-ins for the test programs and LLVM's tools."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def counted(file, lines, branches):
    summary = {
        kind: {"covered": covered, "count": count}
        for kind, (covered, count) in (("lines", lines), ("branches", branches))
    }
    return {"filename": str(ROOT / file), "summary": summary}


FILES = [
    counted("src/util/log.cpp", (8, 10), (1, 4)),
    counted("src/util/log.h", (10, 10), (0, 0)),
    counted("src/loader/arena.cpp", (70, 80), (30, 40)),
    counted("src/layers/cuda/batch_norm.cpp", (0, 1000), (0, 100)),
    counted("tests/util/log_test.cpp", (1000, 1000), (0, 0)),
]


class Coverage(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.write("tests/base_tests", f'echo "$LLVM_PROFILE_FILE $*" > {self.folder}/started')
        self.write("bin/llvm-profdata", "")
        self.write("bin/llvm-cov", f"cat {self.folder}/export.json")
        (self.folder / "export.json").write_text(json.dumps({"data": [{"files": FILES}]}))

    def write(self, name, text):
        program = self.folder / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    def coverage(self, *arguments):
        return subprocess.run(
            [ROOT / "scripts/coverage", "--build", self.folder, *arguments],
            env=os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )

    def test_shows_lines_and_branches_by_module_without_cuda(self):
        done = self.coverage("--least", "88", "--gtest_filter=Log.*")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines()]
        self.assertIn("util 20 90.0 % 4 25.0 %".split(), rows)
        self.assertIn("loader 80 87.5 % 40 75.0 %".split(), rows)
        self.assertIn("all 100 88.0 % 44 70.5 %".split(), rows)
        self.assertNotIn("layers", [row[0] for row in rows])
        started = (self.folder / "started").read_text()
        self.assertEqual(started, f"{self.folder}/profiles/%m%c.profraw --gtest_brief=1 --gtest_filter=Log.*\n")

    def test_fails_below_the_share(self):
        done = self.coverage()
        self.assertEqual(done.returncode, 1)
        self.assertIn("88.0 % of the lines are executed, 90 % are required", done.stderr)

    def test_fails_with_the_tests_and_shows_the_table(self):
        self.write("tests/base_tests", "exit 1")
        done = self.coverage("--least", "0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("tests failed: base_tests", done.stderr)
        self.assertIn("all", done.stdout)

    @unittest.skipUnless(shutil.which("clang++"), "needs clang++")
    def test_programs_without_this_environment_write_no_profile_where_they_run(self):
        presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
        flags = next(preset for preset in presets if preset["name"] == "coverage")["cacheVariables"]["CMAKE_CXX_FLAGS"]
        (self.folder / "main.cpp").write_text("int main() {}\n")
        (self.folder / "elsewhere").mkdir()
        flags = flags.replace("${sourceDir}", str(self.folder)).split()
        subprocess.run(["clang++", *flags, "main.cpp", "-o", "main"], cwd=self.folder, check=True)
        subprocess.run([self.folder / "main"], cwd=self.folder / "elsewhere", env={}, check=True)
        self.assertEqual(list((self.folder / "elsewhere").iterdir()), [])
        self.assertEqual(len(list((self.folder / "build/coverage/profiles").iterdir())), 1)

    def test_names_the_build_that_is_missing(self):
        done = self.coverage("--build", str(self.folder / "none"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("holds no tests: run make coverage", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
