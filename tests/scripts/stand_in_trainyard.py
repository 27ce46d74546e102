#!/usr/bin/env python3
"""A fast, deterministic stand-in for trainyard in tests of scripts/sweep.

The accuracy after epoch e is optimizer.lr * e / train.epochs. Each call appends a line to the file STAND_IN_CALLS. If
STAND_IN_GO is set, a run waits for that file after its first epoch. A seed of 1 to 3 is the run's exit code; with a
seed of 4 the run ignores SIGTERM.
"""

import fcntl
import json
import os
import pathlib
import signal
import sys
import time

SETTINGS = {
    "optimizer.lr": 0.1,
    "optimizer.name": "sgd",
    "train.epochs": 3,
    "train.seed": 0,
    "train.threads": 0,
    "train.device": "auto",
    "run.dir": "runs",
    "run.name": "",
}


def end(code, message):
    print(message, file=sys.stderr)
    sys.exit(code)


def parse(words):
    settings, paths, words = dict(SETTINGS), [], iter(words)
    for word in words:
        if word == "--train.dry_run":
            settings["dry_run"] = True
        elif word in ("--config", "--output"):
            paths.append(next(words))
        elif word.startswith("--"):
            key = word[2:]
            if key not in SETTINGS:
                end(2, f"[trainyard] unknown option --{key}")
            settings[key] = type(SETTINGS[key])(next(words))
        else:
            paths.append(word)
    if settings["optimizer.lr"] > 100:
        end(2, f"[trainyard] --optimizer.lr is {settings['optimizer.lr']}; allowed: a number from 0 to 100")
    return settings, paths


def config(settings, _):
    section = ""
    for key, value in sorted(settings.items()):
        if not key.startswith(section + ".") or not section:
            section = key.split(".")[0]
            print(f"[{section}]")
        print(f"{key.split('.')[1]} = {json.dumps(value)}")


def train(settings, _):
    if settings.get("dry_run"):
        print("  monitor        val/accuracy, higher is better")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = pathlib.Path(settings["run.dir"], settings["run.name"])
    folder.mkdir(exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    file = folder / "metrics.csv"
    if not file.exists():
        file.write_text("epoch,step,train/loss,val/accuracy\n")
    done = len(file.read_text().splitlines()) - 1
    if settings["train.seed"] == 4:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif settings["train.seed"] > 0:
        end(settings["train.seed"], "[train] the loss is nan\nmore of it")
    for epoch in range(done + 1, settings["train.epochs"] + 1):
        with open(file, "a") as rows:
            rows.write(f"{epoch},{epoch * 10},1.0,{settings['optimizer.lr'] * epoch / settings['train.epochs']}\n")
        while "STAND_IN_GO" in os.environ and not os.path.exists(os.environ["STAND_IN_GO"]):
            time.sleep(0.01)


def report(_, paths):
    pathlib.Path(paths[-1]).write_text("\n".join(paths[:-1]))


command, words = sys.argv[1], sys.argv[2:]
with open(os.environ["STAND_IN_CALLS"], "a") as calls:
    calls.write(json.dumps([os.environ.get("CUDA_VISIBLE_DEVICES"), *sys.argv[1:]]) + "\n")
{"config": config, "train": train, "report": report}[command](*parse(words))
