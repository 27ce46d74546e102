"""Tests benchmarks/scaling_model.py: the examples in its text, and a prediction from files."""

import doctest
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import scaling_model

# 100 MB in one bucket, ready after 70 % of a step of 100 ms, whose backward pass ends after 90 %.
GRADIENTS = {"backward_end": 0.9, "gradients": [{"bytes": 100_000_000, "ready": 0.7}]}
# 10 GB/s of bus bandwidth on two ranks, with negligible latency.
ROWS = [{"bytes": 4, "seconds": [0.0]}, {"bytes": 100_000_000, "seconds": [1, 0.01, 0]}]
CURVE = {"ranks": 2, "ranks_per_host": 2, "rows": ROWS}
SCALING = {
    "rows": [
        {"work": "net", "size": 8, "batch": 4, "gpus": gpus, "contenders": {"trainyard": {"seconds": [seconds]}}}
        for gpus, seconds in ((1, 0.1), (2, 0.115))
    ]
}


class ScalingModel(unittest.TestCase):
    def predicted(self, *arguments):
        """Returns the cells of the table by number of GPUs, and the whole output."""
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(ROOT / "benchmarks/scaling_model.py")]
            for name, content in (("gradients", GRADIENTS), ("curve", CURVE), ("scaling", SCALING)):
                path = pathlib.Path(folder, name)
                path.write_text(json.dumps(content))
                command += [] if name == "scaling" and "--step-ms" in arguments else [f"--{name}", str(path)]
            done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if re.match(r"\| \d", line)]
        return {row[0]: row[1:] for row in rows}, done.stdout

    def test_examples(self):
        self.assertEqual(doctest.testmod(scaling_model).failed, 0)

    def test_calibrates_with_the_largest_measured_number(self):
        rows, text = self.predicted("--work", "net,8,4", "--ranks", "2,4", "--per-host", "4")
        self.assertIn("overhead 15.00 ms, from the step measured on 2 GPUs", text)
        self.assertEqual(rows["2"][1:5], ["10.00", "0.00", "115.00", "115.00"])
        self.assertEqual(rows["4"][1:4], ["15.00", "0.00", "115.00 to 120.00"])

    def test_calibrates_on_one_host(self):
        rows, text = self.predicted("--work", "net,8,4", "--ranks", "2", "--per-host", "1", "--network-gbs", "5")
        self.assertIn("overhead 15.00 ms", text)
        self.assertEqual(rows["2"][1:4], ["20.01", "0.01", "115.01 to 125.01"])

    def test_hosts_share_the_network(self):
        rows, _ = self.predicted("--step-ms", "100", "--ranks", "4", "--per-host", "2", "--network-gbs", "5")
        self.assertEqual(rows["4"][:3], ["2", "30.01", "10.01"])

    def test_buckets_overlap_with_the_backward_pass(self):
        early = scaling_model.in_buckets([(50, 0.2), (50, 0.9)], [1])
        late = scaling_model.in_buckets([(50, 0.2), (50, 0.9)], [100])
        curve = scaling_model.Curve(2, 1, (0, 100), (0.0, 0.4))
        cluster = scaling_model.Cluster((curve,), 8, scaling_model.Network())
        for buckets, exposed in ((early, 0.2), (late, 0.4)):
            step = scaling_model.Step(1.0, 0.9, buckets)
            self.assertAlmostEqual(step.communication(cluster, 2)[1], exposed)


if __name__ == "__main__":
    unittest.main()
