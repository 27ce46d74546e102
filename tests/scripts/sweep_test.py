"""Tests scripts/sweep with a stand-in for trainyard, and one short sweep with trainyard.

usage: sweep_test.py TRAINYARD
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import environment

environment.require("sweep", "optuna")

ROOT = environment.ROOT
SWEEP = [sys.executable, str(ROOT / "scripts/sweep")]
LR = "optimizer.lr=0.1,0.2,0.3"


def seed_that_starts_with(first, choices):
    """Returns a --seed that tries this choice first."""
    for seed in range(100):
        order = list(choices)
        random.Random(seed).shuffle(order)
        if order[0] == first:
            return str(seed)
    raise AssertionError(f"no seed starts with {first}")


class SweepCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.go = self.folder / "go"
        (self.folder / "bin").mkdir()
        self.environment = os.environ | {
            "TRAINYARD": str(ROOT / "tests/scripts/stand_in_trainyard.py"),
            "STAND_IN_CALLS": str(self.folder / "calls"),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
        }
        self.environment.pop("CUDA_VISIBLE_DEVICES", None)
        self.has_gpus(0)

    def has_gpus(self, count):
        program = self.folder / "bin/nvidia-smi"
        program.write_text("#!/bin/sh\n" + "".join(f"echo GPU-{i}\n" for i in range(count)))
        program.chmod(0o755)

    def words(self, *arguments, space=LR):
        spaces = [word for text in space.split() for word in ("--space", text)]
        return [*SWEEP, "some.toml", *spaces, "--dir", "sweep", *arguments]

    def sweep(self, *arguments, code=0, space=LR):
        """Runs a sweep and returns its output, including errors."""
        done = subprocess.run(
            self.words(*arguments, space=space),
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def start(self, *arguments, space=LR, trainings=1):
        """Starts a sweep whose runs wait for self.go, and returns once `trainings` of them have trained an epoch."""
        self.environment["STAND_IN_GO"] = str(self.go)
        log = open(self.folder / "log", "w")
        self.addCleanup(log.close)
        words = self.words(*arguments, space=space)
        process = subprocess.Popen(words, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        self.addCleanup(process.kill)
        self.wait_for(lambda: sum(len(rows) > 1 for rows in self.epochs().values()) == trainings)
        return process

    def printed(self, process):
        process.wait(timeout=600)
        return (self.folder / "log").read_text()

    def wait_for(self, condition):
        deadline = time.monotonic() + 600
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def epochs(self):
        """Returns the lines of metrics.csv by run."""
        files = sorted(self.folder.glob("sweep/trial-*/metrics.csv"))
        return {file.parent.name: file.read_text().splitlines() for file in files}

    def calls(self, command):
        """Returns CUDA_VISIBLE_DEVICES and the arguments of each call of a trainyard command."""
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [call for call in calls if call[1] == command]

    def runs(self):
        return [call for call in self.calls("train") if "--train.dry_run" not in call]


class Sweep(SweepCase):
    def test_shows_the_best_first_and_compares_the_runs(self):
        printed = self.sweep("--", "--train.epochs", "2")
        table = printed[printed.index("trial  val/accuracy") :].splitlines()
        self.assertEqual([row.split()[1:4] for row in table[1:4]], [[f"0.{i}000", "2", f"0.{i}"] for i in (3, 2, 1)])
        self.assertEqual(table[4], "3 trained, 0 pruned, 0 failed")
        best = [row.split()[-1] for row in table[1:4]]
        self.assertEqual((self.folder / "sweep/report.html").read_text().splitlines(), best)

    def test_tries_each_combination_of_choices_once(self):
        self.sweep(space="optimizer.lr=0.1,0.2 optimizer.name=sgd,adamw")
        tried = [call[call.index("--optimizer.lr") :] for call in self.runs()]
        self.assertEqual(len(tried), 4)
        self.assertEqual(len(set(map(tuple, tried))), 4)

    def test_composes_several_configurations(self):
        words = [*SWEEP, "base.toml", "mine.toml", "--space", LR, "--", "--config", "more.toml"]
        subprocess.run(words, env=self.environment, cwd=self.folder, check=True, capture_output=True, timeout=600)
        files = ["--config", "base.toml", "--config", "mine.toml", "--config", "more.toml"]
        for call in self.calls("train") + self.calls("config"):
            self.assertEqual(call[2:8], files)
        self.assertTrue((self.folder / "runs/mine-sweep/report.html").exists())

    def test_draws_new_values_when_it_continues(self):
        for trials in ("2", "4"):
            self.sweep("--trials", trials, space="optimizer.lr=log:0.01..1")
        self.assertEqual(len({call[call.index("--optimizer.lr") + 1] for call in self.runs()}), 4)

    def test_lets_trainyard_refuse_settings_before_the_first_trial(self):
        for space, reason in {
            "optimizer.lt=0..1": "unknown option --optimizer.lt",
            "optimizer.lr=1..200": "--optimizer.lr is 200.0; allowed: a number from 0 to 100",
            "optimizer.lr=1,2,300,4 train.seed=0,1": "--optimizer.lr is 300.0",
        }.items():
            with self.subTest(space):
                self.assertIn(reason, self.sweep(space=space, code=2))
        self.assertIn("unknown option --no.such", self.sweep("--", "--no.such", "1", code=2))
        self.assertEqual(self.calls("train"), [])

    def test_refuses_its_own_arguments(self):
        for arguments, reason in {
            ("--trials", "0"): "invalid positive value: '0'",
            ("--space", "optimizer.lr=0..1"): "optimizer.lr is given twice",
            ("--", "--optimizer.lr=3"): "both a --space and a setting of every run",
            ("--dir", "some.toml"): "cannot use the folder some.toml",
        }.items():
            (self.folder / "some.toml").touch()
            with self.subTest(reason):
                self.assertIn(reason, self.sweep(*arguments, code=2))
        self.environment["TRAINYARD"] = "/no/trainyard"
        self.assertIn("cannot start /no/trainyard", self.sweep(code=2))

    def test_continues_after_a_failed_trial_and_shows_its_cause(self):
        printed = self.sweep(space="train.seed=0,1")
        self.assertIn("1 trained, 0 pruned, 1 failed", printed)
        self.assertIn("train.seed=1: exit code 1: [train] the loss is nan\n", printed)

    def test_fails_if_no_trial_trains(self):
        self.assertIn("no trial has trained", self.sweep("--", "--train.seed", "1", code=1))

    def test_ends_when_a_configuration_is_refused(self):
        space = "train.seed=0,2"
        printed = self.sweep("--seed", seed_that_starts_with(2, (0, 2)), space=space, code=2)
        self.assertIn("exit code 2: [train] the loss is nan", printed)
        self.assertIn("the same command continues:\n  ", printed)
        self.assertEqual(len(self.runs()), 1)
        self.assertIn("1 trained, 0 pruned, 1 failed", self.sweep(space=space))

    def test_trains_a_trial_again_that_found_the_machine_unfit(self):
        program = self.folder / "unfit"
        program.write_text(
            f'#!/bin/sh\n[ "$1" != train ] || [ -e {self.go} ] || case " $* " in *dry_run*) ;; *) exit 3 ;; esac\n'
            f'exec {self.environment["TRAINYARD"]} "$@"\n'
        )
        program.chmod(0o755)
        self.environment["TRAINYARD"] = str(program)
        self.assertIn("exit code 3: no output", self.sweep(code=3))
        self.go.touch()
        printed = self.sweep()
        self.assertIn("trial 0 resumes", printed)
        self.assertIn("3 trained, 0 pruned, 0 failed", printed)

    def test_resumes_its_runs_after_a_signal(self):
        for number in (signal.SIGINT, signal.SIGKILL):
            with self.subTest(number.name):
                shutil.rmtree(self.folder / "sweep", ignore_errors=True)
                self.go.unlink(missing_ok=True)
                process = self.start("--jobs", "2", trainings=2)
                for _ in range(2):  # as timeout(1) does
                    process.send_signal(number)
                printed = self.printed(process)
                if number != signal.SIGKILL:
                    self.assertEqual(process.returncode, 128 + number)
                    self.assertIn(f"stopped by {number.name}; everything is kept, the same command continues:", printed)
                self.assertEqual([len(rows) for rows in self.epochs().values()], [2, 2])
                self.go.touch()
                printed = self.sweep("--jobs", "2")
                self.assertIn("trial 0 resumes", printed)
                self.assertIn("trial 1 resumes", printed)
                self.assertIn("trial 2 trains", printed)
                self.assertIn("3 trained, 0 pruned, 0 failed", printed)
                self.assertEqual([len(rows) for rows in self.epochs().values()], [4, 4, 4])

    def test_kills_runs_at_the_second_signal(self):
        process = self.start("--jobs", "2", space="train.seed=0,4", trainings=2)
        process.send_signal(signal.SIGINT)
        self.wait_for(lambda: "another Ctrl-C kills them" in (self.folder / "log").read_text())
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        self.printed(process)
        self.assertEqual(process.returncode, 130)

    def test_prunes_runs_that_are_worse_than_the_median(self):
        choices = list(range(6))
        random.Random(0).shuffle(choices)
        last = choices[-1]  # tried last
        space = "optimizer.lr=" + ",".join("0.01" if i == last else f"0.{i + 1}" for i in range(6))
        self.sweep("--trials", "5", space=space)
        self.environment["STAND_IN_GO"] = str(self.go)  # the last run would wait forever
        printed = self.sweep("--trials", "6", space=space)
        self.assertIn("trial 5: pruned after epoch 1, val/accuracy 0.0033", printed)
        self.assertIn("5 trained, 1 pruned, 0 failed", printed)

    def test_trains_every_run_to_its_end_without_pruning(self):
        printed = self.sweep("--no-prune", space="optimizer.lr=0.9,0.8,0.7,0.6,0.5,0.4,0.3")
        self.assertIn("7 trained, 0 pruned", printed)

    def test_spreads_runs_over_the_gpus(self):
        self.has_gpus(3)
        self.sweep()
        self.assertEqual({call[0] for call in self.runs()}, {"GPU-0", "GPU-1", "GPU-2"})
        self.assertEqual(self.runs()[0].count("--train.threads"), 0)

    def test_leaves_gpus_alone_if_the_runs_train_on_the_cpu(self):
        self.has_gpus(3)
        self.sweep("--trials", "1", "--", "--train.device", "cpu", "--train.threads", "7")
        self.assertEqual([(call[0], call.count("--train.threads")) for call in self.runs()], [(None, 1)])

    def test_divides_the_cores_among_runs_on_the_cpu(self):
        self.sweep("--jobs", "2", "--trials", "1")
        threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
        for call in self.runs():
            self.assertEqual(call[call.index("--train.threads") + 1], threads)

    def test_refuses_a_folder_with_another_sweep(self):
        self.sweep()
        printed = self.sweep("--", "--train.epochs", "9", code=2)
        self.assertIn(
            "holds a sweep with other settings:\n  before: train.epochs = 3\n  now: train.epochs = 9\n", printed
        )
        self.assertIn("now: --space optimizer.lr=0.1,0.2\n", self.sweep(space="optimizer.lr=0.1,0.2", code=2))
        (self.folder / "sweep/sweep.db").write_text("no database")
        self.assertIn("cannot read sweep/sweep.db: (sqlite3.DatabaseError) file is not a database", self.sweep(code=2))

    def test_refuses_a_folder_that_is_in_use(self):
        process = self.start()
        self.assertIn("another sweep is at work in sweep", self.sweep(code=2))
        self.go.touch()
        self.assertIn("3 trained", self.printed(process))


class SweepWithTrainyard(SweepCase):
    def test_trains(self):
        self.environment["TRAINYARD"] = TRAINYARD
        settings = ["--data.root", str(ROOT / "data/houses"), "--train.epochs", "2", "--loader.workers", "0"]
        space = "optimizer.lr=log:0.0001..0.01 model.mlp.depth=int:1..3"
        config = str(ROOT / "configs/houses_mlp.toml")
        words = [*SWEEP, config, "--dir", "sweep", "--trials", "3", "--jobs", "2"]
        for text in space.split():
            words += ["--space", text]
        done = subprocess.run(
            [*words, "--", *settings],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=600,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("3 trained, 0 pruned, 0 failed", done.stdout)
        table = done.stdout[done.stdout.index("trial  val/r2") :].splitlines()
        manifest = json.loads((self.folder / table[1].split()[-1] / "checkpoints/last/manifest.json").read_text())
        self.assertEqual(table[1].split()[1], f"{manifest['best']['metrics']['val/r2']:.4f}")
        page = (self.folder / "sweep/report.html").read_text()
        for row in table[1:4]:
            self.assertIn(pathlib.Path(row.split()[-1]).name, page)


if __name__ == "__main__":
    TRAINYARD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
