"""Queries trainyard about the settings of a sweep."""

import os
import pathlib
import re
import subprocess

import run as runs

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINYARD = os.environ.get("TRAINYARD", str(ROOT / "build/release/trainyard"))


class SweepError(Exception):
    def __init__(self, message, code=2):
        super().__init__(message)
        self.code = code


def say(text):
    print(f"[sweep] {text}", flush=True)


def flags(params):
    return [word for key, value in params.items() for word in (f"--{key}", str(value))]


def ask_trainyard(*words, **options):
    """Returns the standard output of a trainyard command. If it fails, so does the sweep, with the same message and
    code."""
    try:
        done = subprocess.run(
            [TRAINYARD, *words], text=True, capture_output=True, preexec_fn=runs.prepare_child, **options
        )
    except OSError as error:
        raise SweepError(f"cannot start {TRAINYARD}: {error.strerror}; run make build, or set TRAINYARD") from None
    if done.returncode != 0:
        code = 128 - done.returncode if done.returncode < 0 else done.returncode
        raise SweepError((done.stderr or done.stdout).strip() or runs.described_exit(done.returncode), code)
    return done.stdout


def resolved_settings(options):
    """Returns all settings of the runs as lines `section.key = value`, after checking that trainyard accepts the values
    of --space."""

    def ask(params):
        return ask_trainyard("config", *options.settings, *flags(params))

    examples = [space.examples() for space in options.space]
    for i in range(max(map(len, examples))):
        ask({space.key: values[min(i, len(values) - 1)] for space, values in zip(options.space, examples)})
    section, lines = "", []
    for line in ask({}).splitlines():
        if header := re.match(r"\[([\w.]+)\]", line):
            section = header[1]
        elif re.match(r"\w", line):
            lines.append(f"{section}.{line}")
    return lines


def monitored(options, share):
    """Returns the monitored metric and whether higher is better, from a dry run of one step on real data."""
    say("one step to see whether everything is there")
    params = {space.key: space.examples()[0] for space in options.space}
    folder = ["--run.dir", str(options.dir), "--run.name", "dry-run"]
    words = ["train", *options.settings, *folder, *flags(params), "--train.dry_run"]
    found = re.search(
        r"^ *monitor +(\S+), (higher|lower) is better$", ask_trainyard(*words, env=share.environment()), re.M
    )
    if not found:
        raise SweepError(f"{TRAINYARD} does not say which metric it monitors: build it from this tree", 1)
    return found[1], found[2] == "higher"
