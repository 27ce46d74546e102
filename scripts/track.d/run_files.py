"""What the files of a run say, as docs/looking-at-runs.md describes them."""

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
    id: str  # of this run, also when it has grown
    started: int  # seconds since the epoch
    settings: dict  # by section.key
    points: dict  # name and value of metrics, by step
    tags: dict
    ended: str  # of the manifest of the last checkpoint: running, finished, early_stopped or signal
    artifacts: list


def flat(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def read_json(path):
    """An empty dictionary if there is no such file, or no JSON in it."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def whole_lines(path):
    """Without the one that is being written."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def read_points(folder):
    """The curves that TensorBoard shows: metrics.jsonl as it is, of metrics.csv what is not in it."""
    points = {}
    for line in whole_lines(folder / "metrics.jsonl"):
        values = json.loads(line)
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
    """Raises TrackError if the folder holds no run that can be read."""
    try:
        with open(folder / "config.toml", "rb") as file:
            settings = dict(flat(tomllib.load(file)))
        # The first file of events has the time of the start in its name; a run that resumes keeps it.
        started = min(int(file.name.split(".")[3]) for file in folder.glob("events.out.tfevents.*.trainyard"))
        points = read_points(folder)
    except OSError as error:
        raise TrackError(f"{folder} is no run's folder: {error.filename}: {error.strerror}") from None
    except (ValueError, LookupError) as error:
        raise TrackError(f"{folder} holds no run that can be read: {error}") from None
    manifest = read_json(folder / "checkpoints/last/manifest.json")
    identity = hashlib.sha256(f"{folder.resolve()} {started}".encode()).hexdigest()[:16]
    artifacts = [folder / name for name in ("report.html", "config.toml") if (folder / name).exists()]
    ended = manifest.get("ended", "running")
    return RunFiles(folder, identity, started, settings, points, read_tags(folder, manifest), ended, artifacts)
