"""Measures how long a configuration trains until it has reached an accuracy on test, in turns with the same recipe in
PyTorch: eager, compiled, and compiled with CUDA graphs.

usage: python benchmarks/time_to_accuracy.py TRAINYARD CONFIG TARGET [--rounds 3] [--data.root FOLDER]
           [--contenders trainyard,eager,compiled,graphs]

The whole recipe is run, with another seed in each round. It reaches the target if the mean of its accuracies on test
does. Two times are given: from the shell's prompt to the command's end, and "warm", the recipe's epochs at the median
time of one, as in a process that has loaded, compiled and captured everything before. benchmarks/peers/recipe.py says
what of a recipe PyTorch's side has; its samples are on the GPU, and augmented there.
"""

import argparse
import csv
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

BENCHMARKS = pathlib.Path(__file__).resolve().parent
TEST = re.compile(r"^ *test/accuracy +([0-9.]+)", re.MULTILINE)


def run_of_trainyard(arguments, seed, folder):
    command = [arguments.program, "train", "--config", arguments.config, "--data.root", arguments.root]
    command += ["--train.seed", str(seed), "--run.dir", folder, "--run.name", "run"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    samples = int(re.search(r"train +([\d,]+) samples", printed)[1].replace(",", ""))
    rows = csv.DictReader(pathlib.Path(folder, "run/metrics.csv").open())
    epochs = [samples / float(row["samples_per_second"]) for row in rows]
    return {"epochs": epochs, "accuracy": float(TEST.search(printed)[1])}


def run_of_pytorch(mode):
    def run(arguments, seed, _):
        command = [sys.executable, BENCHMARKS / "peers/recipe.py", mode, arguments.config, arguments.root, str(seed)]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
        numbers = [float(line) for line in lines if line]
        return {"epochs": numbers[:-1], "accuracy": numbers[-1]}

    return run


CONTENDERS = {"trainyard": run_of_trainyard} | {mode: run_of_pytorch(mode) for mode in ("eager", "compiled", "graphs")}


def measure(contender, arguments, seed):
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = contender(arguments, seed, folder)
        seconds = time.perf_counter() - began
    warm = len(run["epochs"]) * statistics.median(run["epochs"])
    return {"prompt": seconds, "warm": warm, "accuracy": run["accuracy"]}


def spread(values):
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def report(measured, target):
    """Returns one line per contender; the ratios are trainyard's time to the other's in the same round."""
    lines = []
    for name, runs in measured.items():
        accuracies = [run["accuracy"] for run in runs]
        mean = statistics.mean(accuracies)
        line = f"{name:<10} test accuracy {mean:.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})"
        line += f", {'reached' if mean >= target else 'NOT reached'}; "
        for key in ("warm", "prompt"):
            ratios = [ours[key] / theirs[key] for ours, theirs in zip(measured.get("trainyard", runs), runs)]
            line += f"{key} {spread([run[key] for run in runs])}, ratio {statistics.median(ratios):.3f}; "
        lines.append(line.rstrip("; "))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("config")
    parser.add_argument("target", type=float)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data.root", dest="root", help="by default the configuration's")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    arguments = parser.parse_args()
    names = arguments.contenders.split(",")
    if unknown := set(names) - set(CONTENDERS):
        parser.error(f"--contenders: there is no {', '.join(sorted(unknown))}; there are {', '.join(CONTENDERS)}")
    if arguments.root is None:
        config = tomllib.loads(pathlib.Path(arguments.config).read_text())
        arguments.root = config["data"].get("root", "/usr/share/datasets/fashion-mnist")

    measured = {name: [] for name in names}
    for seed in range(arguments.rounds):
        for name in names:
            measured[name].append(measure(CONTENDERS[name], arguments, seed))
            print(f"{name}, seed {seed}: {measured[name][-1]}", file=sys.stderr, flush=True)
    print(f"{arguments.config}, target {arguments.target}, {arguments.rounds} rounds; median (smallest to largest):")
    print(report(measured, arguments.target))


if __name__ == "__main__":
    main()
