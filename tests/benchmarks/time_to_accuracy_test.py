"""Tests benchmarks/time_to_accuracy.py with a stand-in for trainyard."""

import argparse
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from time_to_accuracy import measure, report, run_of_trainyard

STAND_IN = """#!/bin/sh
while [ $# -gt 0 ]; do case $1 in --run.dir) folder=$2 ;; esac; shift; done
mkdir "$folder/run"
printf 'epoch,samples_per_second\\n1,1000\\n2,27000\\n3,54000\\n' > "$folder/run/metrics.csv"
echo 'data    train 54,000 samples of 10 classes'
echo '  test/accuracy  0.9412 on all 10000 samples, test/loss 0.2'
"""


def runs(*values):
    return [{"prompt": prompt, "warm": warm, "accuracy": accuracy} for prompt, warm, accuracy in values]


class TimeToAccuracy(unittest.TestCase):
    def test_takes_the_median_epoch_as_warm_and_the_accuracy_on_test(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "trainyard")
            program.write_text(STAND_IN)
            program.chmod(0o755)
            arguments = argparse.Namespace(program=program, config="x.toml", root="data")
            run = measure(run_of_trainyard, arguments, 0)
        self.assertEqual(run["warm"], 3 * 54_000 / 27_000)
        self.assertEqual(run["accuracy"], 0.9412)
        self.assertGreater(run["prompt"], 0)

    def test_compares_times_within_a_round_and_the_mean_accuracy_with_the_target(self):
        measured = {
            "trainyard": runs((4, 2, 0.939), (6, 2, 0.943), (5, 2, 0.941)),
            "eager": runs((8, 8, 0.939), (8, 8, 0.941), (20, 8, 0.938)),
        }
        ours, theirs = report(measured, 0.94).split("\n")
        self.assertIn("test accuracy 0.9410 (0.9390 to 0.9430), reached", ours)
        self.assertIn("prompt 5.00 s (4.00 to 6.00), ratio 1.000", ours)
        self.assertIn("NOT reached", theirs)
        self.assertIn("warm 8.00 s (8.00 to 8.00), ratio 0.250; prompt 8.00 s (8.00 to 20.00), ratio 0.500", theirs)


if __name__ == "__main__":
    unittest.main()
