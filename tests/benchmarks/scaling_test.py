"""Tests benchmarks/scaling.py with stand-ins for the contenders."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from scaling import OURS, REDUCER, command

STAND_IN = str(ROOT / "tests/benchmarks/stand_in.py")
SCALING = [sys.executable, str(ROOT / "benchmarks/scaling.py"), "--python", STAND_IN, "--work", "resnet50,224,256"]


def scaling(*arguments):
    return subprocess.run([*SCALING, *arguments], capture_output=True, text=True, timeout=600)


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Scaling(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def measured(self, *arguments):
        """Returns the lines of the table, by GPUs and contender, and the JSON."""
        file = self.folder / "results.json"
        programs = ["--ours", f"{STAND_IN} ours", "--reducer", f"{STAND_IN} eager"]
        done = scaling(*programs, "--rounds", "3", "--json", str(file), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| resnet")]
        return {(row[1], row[2]): row for row in rows}, json.loads(file.read_text())

    def test_reports_times_rates_scaling_and_ratios(self):
        rows, results = self.measured("--gpus", "1,4")
        self.assertEqual(rows["1", "trainyard"][3:6], ["1.10 (1.10 to 1.10)", "232,727", "1.00"])
        self.assertEqual(rows["4", "trainyard"][3:6], ["1.40 (1.40 to 1.40)", "731,429", "3.14"])
        self.assertEqual(rows["4", "DDP eager"][3:5], ["2.80 (2.80 to 2.80)", "365,714"])
        self.assertEqual(rows["4", "DDP eager"][6], "0.500 (0.500 to 0.500)")
        self.assertEqual(rows["4", "c10d::Reducer (C++)"][6], "0.500 (0.500 to 0.500)")
        self.assertEqual((results["torch"], results["gpu"], results["scaling"]), ("2.14.0", "a GPU", "weak"))
        self.assertEqual(results["rows"][1]["contenders"]["trainyard"], {"seconds": [0.0014] * 3})

    def test_gives_the_reducer_the_settings_of_trainyard(self):
        options = argparse.Namespace(ours="trainyard", reducer="reducer_step", device="cpu", gpus=[1, 2])
        ours, reducer = (command(options, name, "convnet", 28, 16, 2) for name in (OURS, REDUCER))
        self.assertEqual(ours[:4], ["trainyard", "bench", "step", "--turns"])
        self.assertEqual(reducer, ["reducer_step", "reducer", *ours[4:]])

    def test_reports_failed_contenders_and_continues(self):
        rows, results = self.measured("--gpus", "2")
        self.assertEqual(rows["2", "DDP compiled"][3], "failed: no compiler")
        self.assertEqual(rows["2", "DDP compiled, one graph"][3], "failed: the capture failed")
        self.assertIn("DDP eager", results["rows"][0]["contenders"])
        self.assertEqual(len(results["rows"][0]["contenders"]["trainyard"]["seconds"]), 3)

    def test_leaves_out_on_a_cpu_what_needs_a_gpu(self):
        rows, _ = self.measured("--gpus", "1", "--device", "cpu")
        self.assertEqual({name for _, name in rows}, {"trainyard", "c10d::Reducer (C++)", "DDP eager", "DDP compiled"})
        done = scaling("--gpus", "1", "--device", "cpu", "--contenders", "trainyard;DDP compiled, one graph")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("contender 'DDP compiled, one graph' needs --device cuda", done.stderr)

    def test_reports_programs_that_are_missing(self):
        done = scaling("--ours", "/no/such/program", "--contenders", "trainyard", "--gpus", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory: '/no/such/program'", done.stdout)

    def test_divides_the_batch_in_strong_scaling(self):
        rows, results = self.measured("--gpus", "1,2", "--strong", "--contenders", "trainyard")
        self.assertEqual([row["batch"] for row in results["rows"]], [256, 128])
        self.assertEqual(rows["2", "trainyard"][4:6], ["213,333", "0.92"])
        self.assertIn("cannot be divided", scaling("--gpus", "3", "--strong").stderr)

    def test_refuses_more_gpus_than_there_are(self):
        done = scaling("--gpus", "8")
        self.assertEqual(done.returncode, 1)
        self.assertIn("4 GPUs are visible, 8 are needed", done.stderr)

    def test_refuses_results_that_cannot_be_written_before_it_measures(self):
        done = scaling("--json", "/no/such/folder/results.json")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("cannot write the results: [Errno 2]", done.stderr)

    def test_draws_what_was_measured(self):
        _, results = self.measured("--gpus", "1,2,4", "--contenders", "trainyard;DDP eager")
        svg = self.folder / "scaling.svg"
        plot = [sys.executable, str(ROOT / "benchmarks/scaling_plot.py"), str(svg), str(self.folder / "results.json")]
        subprocess.run(plot, check=True)
        drawing = xml.dom.minidom.parse(str(svg))
        words = [node.firstChild.data for node in drawing.getElementsByTagName("text")]
        self.assertIn("resnet50, 224 px, 256 per GPU", words)
        self.assertIn("trainyard: 3.14 on 4", words)
        self.assertEqual(len(drawing.getElementsByTagName("circle")), 6)

    def test_leaves_no_process_behind(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number), tempfile.TemporaryDirectory() as folder:
                command = [
                    *SCALING,
                    "--gpus",
                    "2",
                    "--contenders",
                    "DDP eager;trainyard",
                    "--ours",
                    f"{STAND_IN} hangs",
                ]
                environment = os.environ | {"STAND_IN_PIDS": folder}
                process = subprocess.Popen(
                    command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                self.wait_for(lambda: len(os.listdir(folder)) == 2)
                process.send_signal(number)
                process.wait(timeout=600)
                self.wait_for(lambda: not any(is_alive(pid) for pid in os.listdir(folder)))

    def wait_for(self, condition):
        deadline = time.monotonic() + 600
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
