"""Tests how scripts/sweep assigns GPUs to runs."""

import os
import pathlib
import sys
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/sweep.d"))

import devices  # noqa: E402


def shares(jobs, gpus):
    return [devices.Share(index, jobs, gpus).gpus for index in range(jobs)]


class Devices(unittest.TestCase):
    def test_divides_gpus_among_jobs(self):
        self.assertEqual(shares(3, ["a", "b", "c"]), [["a"], ["b"], ["c"]])
        self.assertEqual(shares(2, ["a", "b", "c"]), [["a", "c"], ["b"]])
        self.assertEqual(shares(1, ["a", "b"]), [["a", "b"]])

    def test_lets_jobs_share_gpus_if_there_are_more_jobs(self):
        self.assertEqual(shares(3, ["a", "b"]), [["a"], ["b"], ["a"]])
        self.assertEqual(shares(2, []), [[], []])

    def test_shows_a_run_its_gpus_alone(self):
        self.assertEqual(devices.Share(1, 2, ["a", "b"]).environment()["CUDA_VISIBLE_DEVICES"], "b")

    def test_takes_the_gpus_that_the_user_chose(self):
        for chosen, expected in {"3, 1": ["3", "1"], "": [], "-1": [], "MIG-x": ["MIG-x"]}.items():
            with self.subTest(chosen), unittest.mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES=chosen):
                self.assertEqual(devices.visible_gpus(), expected)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
