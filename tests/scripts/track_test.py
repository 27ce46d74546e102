"""Tests scripts/track with a run of trainyard: MLflow with its SQLite store, and an offline run of Weights & Biases.

usage: track_test.py TRAINYARD
"""

import csv
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import environment

environment.require("track", "mlflow", "sqlalchemy", "wandb")

from mlflow import MlflowClient  # noqa: E402
from wandb.proto import wandb_internal_pb2  # noqa: E402

ROOT = environment.ROOT
HOUSES = ["--config", str(ROOT / "configs/houses_mlp.toml"), "--data.root", str(ROOT / "data/houses")]


def wandb_records(file):
    """Yields the records of a .wandb file: a log in LevelDB's format after a header of seven bytes."""
    data, at, parts = file.read_bytes(), 7, []
    while at + 7 <= len(data):
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0:  # the rest of a block of 32 KiB is unused
            at += 32768 - at % 32768
            continue
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
        if kind in (1, 4):  # a whole record, or its last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


class Track(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.train(2)

    @classmethod
    def train(cls, epochs):
        settings = ["--run.name", "houses", "--train.epochs", str(epochs), "--loader.workers", "0"]
        subprocess.run([TRAINYARD, "train", *HOUSES, *settings], cwd=cls.folder, stdout=subprocess.DEVNULL, check=True)

    def track(self, *arguments, code=0):
        """Runs the script and returns its output, including errors."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts/track"), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def rows(self):
        with open(self.folder / "runs/houses/metrics.csv", newline="") as file:
            return list(csv.DictReader(file))

    def mlflow_run(self, client):
        runs = client.search_runs([client.get_experiment_by_name("trainyard").experiment_id])
        self.assertEqual(len(runs), 1)
        return runs[0]

    def assert_has_all_points(self, client, run):
        history = client.get_metric_history(run.info.run_id, "val/r2")
        expected = [(int(row["step"]), float(row["val/r2"])) for row in self.rows()]
        self.assertEqual(sorted((metric.step, metric.value) for metric in history), expected)
        lines = (self.folder / "runs/houses/metrics.jsonl").read_text().splitlines()
        history = client.get_metric_history(run.info.run_id, "train/loss")
        expected = [(line["step"], line["train/loss"]) for line in map(json.loads, lines)]
        self.assertEqual(sorted((metric.step, metric.value) for metric in history), expected)

    def test_mlflow_has_a_run_once_and_is_updated(self):
        store = f"sqlite:///{self.folder}/mlflow.db"
        self.assertIn("created run", self.track("mlflow", "runs/houses", "--to", store))
        client = MlflowClient(tracking_uri=store)
        run = self.mlflow_run(client)
        self.assertEqual((run.info.run_name, run.info.status), ("houses", "FINISHED"))
        self.assertEqual((run.data.params["model.mlp.width"], run.data.params["train.epochs"]), ("128", "2"))
        self.assertEqual(run.data.tags["trainyard.ended"], "finished")
        self.assertEqual(run.data.tags["machine.cores"], str(os.cpu_count()))
        self.assertIn("libtorch", run.data.tags)
        self.assertEqual({file.path for file in client.list_artifacts(run.info.run_id)}, {"report.html", "config.toml"})
        self.assert_has_all_points(client, run)

        self.assertIn("with 0 new values", self.track("mlflow", "runs/houses", "--to", store))
        self.assert_has_all_points(client, self.mlflow_run(client))

        self.train(3)
        self.assertIn("updated run", self.track("mlflow", "runs/houses", "--to", store))
        run = self.mlflow_run(client)
        self.assertEqual(len(self.rows()), 3)
        self.assert_has_all_points(client, run)
        self.assertEqual((run.data.params["train.epochs"], run.data.tags["later.train.epochs"]), ("2", "3"))

    def test_wandb_has_a_run_once(self):
        for verb in ("wrote", "replaced"):
            self.assertIn(f"runs/houses: {verb} offline", self.track("wandb", "runs/houses", "--to", "offline"))
            (file,) = self.folder.glob("offline/wandb/offline-run-*/*.wandb")
            records = list(wandb_records(file))
            steps, points = [], []
            for record in records:
                items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                if "val/r2" in items:
                    steps.append(items["_step"])
                    points.append(items["val/r2"])
            self.assertEqual(steps, [int(row["step"]) for row in self.rows()])
            self.assertEqual(points, [float(row["val/r2"]) for row in self.rows()])
            (run,) = (record.run for record in records if record.HasField("run"))
            config = {item.key: json.loads(item.value_json) for item in run.config.update}
            self.assertEqual((run.display_name, config["model.mlp.width"]), ("houses", 128))
            self.assertTrue((file.parent / "files/report.html").exists())

    def test_refuses_what_is_no_run(self):
        broken = self.folder / "broken"
        shutil.copytree(self.folder / "runs/houses", broken)
        (broken / "config.toml").write_text("[train")
        for folder, reason in {"nowhere": "nowhere is not a run's folder", "broken": "no run that can be read"}.items():
            self.assertIn(reason, self.track("wandb", folder, code=2))
        self.assertIn("mlflow needs --to", self.track("mlflow", "runs/houses", code=2))
        self.assertIn("MLflow at", self.track("mlflow", "runs/houses", "--to", "sqlite:////proc/none/x.db", code=1))


if __name__ == "__main__":
    TRAINYARD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
