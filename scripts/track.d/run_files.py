"""Reads the files of a run, which docs/looking-at-runs.md describes."""

import csv
import dataclasses
import hashlib
import json
import pathlib
import tomllib


class TrackError(Exception):
    def __init__(self, message, code=2):
        super().__init__(message)
        self.code = code


@dataclasses.dataclass
class RunFiles:
    folder: pathlib.Path
    id: str  # of this run; does not change when it grows
    started: int  # seconds since the epoch
    settings: dict  # by section.key
    points: dict  # name and value of metrics, by step
    tags: dict
    ended: str  # from the manifest of the last checkpoint: running, finished, early_stopped or signal
    artifacts: list


def flat(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def read_json(path):
    """Returns an empty dictionary if the file does not exist or is not JSON."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def whole_lines(path):
    """Returns the lines of a file without an incomplete last one."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def read_points(folder):
    """Returns the curves that TensorBoard shows: all of metrics.jsonl, and what metrics.csv has in addition. Metrics
    without a value are left out."""
    points = {}
    for line in whole_lines(folder / "metrics.jsonl"):
        values = {name: value for name, value in json.loads(line).items() if value is not None}
        points.setdefault(values.pop("step"), {}).update(values)
    for row in csv.DictReader(whole_lines(folder / "metrics.csv")):
        values = points.setdefault(int(row["step"]), {})
        for name, value in row.items():
            if name.startswith(("train/", "val/")) and value:
                values[f"{name}_epoch" if name.startswith("train/") else name] = float(value)
    return {step: {name: float(value) for name, value in points[step].items()} for step in sorted(points)}


def read_tags(folder, manifest):
    facts = read_json(folder / "check.json").get("facts", {})
    host, gpus = facts.get("host", {}), [gpu.get("name", "") for gpu in facts.get("devices", [])]
    tags = {
        "trainyard.version": manifest.get("trainyard_version"),
        "trainyard.ended": manifest.get("ended"),
        "trainyard.folder": str(folder.resolve()),
        "libtorch": facts.get("torch", {}).get("version"),
        "machine.cores": host.get("cores"),
        "machine.system": host.get("distribution"),
        "machine.gpus": ", ".join(gpus),
    }
    return {key: str(value) for key, value in tags.items() if value}


def read(folder):
    """Raises TrackError if the folder holds no readable run."""
    try:
        with open(folder / "config.toml", "rb") as file:
            settings = dict(flat(tomllib.load(file)))
        # The name of the first event file contains the time of the start, and a run that resumes keeps the file.
        started = min(int(file.name.split(".")[3]) for file in folder.glob("events.out.tfevents.*.trainyard"))
        points = read_points(folder)
    except OSError as error:
        raise TrackError(f"{folder} is not a run's folder: {error.filename}: {error.strerror}") from None
    except (ValueError, LookupError) as error:
        raise TrackError(f"{folder} holds no run that can be read: {error}") from None
    manifest = read_json(folder / "checkpoints/last/manifest.json")
    identity = hashlib.sha256(f"{folder.resolve()} {started}".encode()).hexdigest()[:16]
    artifacts = [folder / name for name in ("report.html", "config.toml") if (folder / name).exists()]
    ended = manifest.get("ended", "running")
    return RunFiles(folder, identity, started, settings, points, read_tags(folder, manifest), ended, artifacts)
