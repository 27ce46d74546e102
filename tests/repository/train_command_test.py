"""Checks which command `make train` and `make up` run for their variables."""

import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def command(**variables):
    """Returns the words after "trainyard train"."""
    clean = {name: value for name, value in os.environ.items() if name not in ("CONFIG", "ARGS", "MAKEFLAGS", "MFLAGS")}
    printed = subprocess.run(["make", "--silent", "train-command"], cwd=ROOT, env=clean | variables, check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    return printed.split()[2:]


class TrainCommand(unittest.TestCase):
    def test_trains_the_default_configuration(self):
        self.assertEqual(command(), ["--config", "configs/fashion_mnist.toml"])
        self.assertEqual(command(CONFIG="", ARGS=""), ["--config", "configs/fashion_mnist.toml"])

    def test_arguments_come_after_the_configuration(self):
        words = command(CONFIG="configs/mine.toml", ARGS="--train.epochs 3\n--transform.train resize(size=8)")
        self.assertEqual(words[:2], ["--config", "configs/mine.toml"])
        self.assertEqual(words[2:], ["--train.epochs", "3", "--transform.train", "resize(size=8)"])

    def test_a_configuration_in_the_arguments_replaces_the_default(self):
        self.assertEqual(command(ARGS="--config a.toml"), ["--config", "a.toml"])
        self.assertEqual(command(ARGS="--config=a.toml"), ["--config=a.toml"])

    def test_several_configurations_are_layers(self):
        self.assertEqual(command(CONFIG="a.toml b.toml"), ["--config", "a.toml", "--config", "b.toml"])
        self.assertEqual(command(CONFIG="a.toml", ARGS="--config b.toml"), ["--config", "a.toml", "--config", "b.toml"])


if __name__ == "__main__":
    unittest.main()
