"""Tests scripts/build-times with a log of ninja."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/build-times"
LOG = """# ninja log v5
0\t9000\t1\tsrc/CMakeFiles/core.dir/loader/arena.cpp.o\taaa
0\t4000\t1\tsrc/CMakeFiles/core.dir/loader/arena.cpp.o\tbbb
0\t2500\t1\tsrc/CMakeFiles/core.dir/loader/tickets.cpp.o\tccc
10\t1510\t1\ttests/CMakeFiles/tests.dir/loader/arena_test.cpp.o\tddd
10\t7010\t1\tsrc/CMakeFiles/core.dir/gone.cpp.o\teee
10\t210\t1\ttests/CMakeFiles/rank_program.dir/__/src/main.cpp.o\tggg
10\t410\t1\ttests/CMakeFiles/mine.dir/__/examples/mine/main.cpp.o\thhh
20\t3020\t1\tlibfirst.a\tfff
20\t3020\t1\tlibsecond.a\tfff
"""


class BuildTimes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_script(self):
        return subprocess.run([SCRIPT, self.folder, "--files", "2"], capture_output=True, text=True)

    def test_adds_up_the_last_build_of_each_file_that_exists(self):
        (self.folder / ".ninja_log").write_text(LOG)
        for line in LOG.splitlines()[1:]:
            output = self.folder / line.split("\t")[3]
            if "gone" not in output.name:
                output.parent.mkdir(parents=True, exist_ok=True)
                output.touch()
        rows = [line.split() for line in self.run_script().stdout.splitlines()]
        self.assertIn(["src/loader", "2", "6.5"], rows)
        self.assertIn(["tests/loader", "1", "1.5"], rows)
        self.assertIn(["other", "2", "3.0"], rows)  # one command builds both libraries
        self.assertIn(["src", "1", "0.2"], rows)  # a file from beside tests/
        self.assertIn(["examples/mine", "1", "0.4"], rows)
        self.assertIn(["all", "7", "11.6"], rows)
        self.assertEqual(rows[-2:], [["src/loader/arena.cpp", "4.0"], ["libfirst.a", "3.0"]])

    def test_names_the_log_that_is_missing(self):
        done = self.run_script()
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"there is no {self.folder}/.ninja_log", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
