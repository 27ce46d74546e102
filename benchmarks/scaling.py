#!/usr/bin/env python3
"""Measures the training step on one, two, four and more GPUs: Trainyard and PyTorch's DistributedDataParallel, and
Trainyard's net with the class behind that, c10d::Reducer.

    python3 benchmarks/scaling.py --python PYTHON --gpus 1,2,4 --work resnet50,224,256 --json scaling.json

Every contender trains on one batch that stays on the device, with one process per GPU. For each number of GPUs the
processes of all contenders exist at the same time, but only one contender works at a time: they take turns, round after
round, so that other load affects all alike. The numbers of GPUs are measured one after another. The peers need a PYTHON
with torch; with --device cpu the ranks are processes on the CPU. peers/ddp.py and reducer_step.cpp describe the others.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import ranks
import scaling_plot
from step_command import step_command, step_flags

HERE = pathlib.Path(__file__).resolve().parent
BUILT = HERE.parent / "build/release"
OURS = "trainyard"
REDUCER = "c10d::Reducer (C++)"
PEERS = {"DDP eager": "eager", "DDP compiled": "compiled", "DDP compiled, one graph": "graph"}
CONTENDERS = [OURS, REDUCER, *PEERS]
GPU_ONLY = "DDP compiled, one graph"  # a CUDA graph
WARM_UP_STEPS = 20  # the first steps compile, select kernels and capture
MACHINE = """
import torch, torch.distributed
gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(torch.__version__, gpus, torch.cuda.get_device_name() if gpus else "", sep="\\n")
"""


def work(text):
    model, size, batch = text.split(",")
    return model, int(size), int(batch)


def numbers(text):
    return sorted({int(number) for number in text.split(",")})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="imports torch, for the peers")
    parser.add_argument("--ours", default=str(BUILT / "trainyard"), metavar="PROGRAM")
    parser.add_argument("--reducer", default=str(BUILT / "benchmarks/reducer_step"), metavar="PROGRAM")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--gpus", type=numbers, default=[1, 2], metavar="N,N", help="numbers of GPUs (default: 1,2)")
    parser.add_argument(
        "--work",
        type=work,
        action="append",
        metavar="MODEL,SIZE,BATCH",
        help="may be repeated (default: resnet50,224,256 and resnet18,32,512)",
    )
    parser.add_argument("--strong", action="store_true", help="BATCH is divided among the GPUs, not per GPU")
    parser.add_argument(
        "--contenders",
        type=lambda text: text.split(";"),
        metavar="NAME;NAME",
        help=f"default: all, on a CPU without {GPU_ONLY}",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of a contender in a round")
    parser.add_argument("--json", metavar="FILE", help="receives all rounds, after each row")
    parser.add_argument("--plot", metavar="FILE", help="receives a drawing as SVG")
    options = parser.parse_args()
    options.work = options.work or [work("resnet50,224,256"), work("resnet18,32,512")]
    offered = [name for name in CONTENDERS if options.device == "cuda" or name != GPU_ONLY]
    options.contenders = options.contenders or offered
    for name in options.contenders:
        if name not in CONTENDERS:
            parser.error(f"unknown contender '{name}'; known: {'; '.join(offered)}")
        if name not in offered:
            parser.error(f"contender '{name}' needs --device cuda")
    if min(options.rounds, options.steps, *options.gpus) < 1:
        parser.error("--rounds, --steps and --gpus are numbers from 1 on")
    for model, _, batch in options.work if options.strong else ():
        if any(batch % gpus for gpus in options.gpus):
            parser.error(f"the batch of {model}, {batch}, cannot be divided among {options.gpus} GPUs")
    for path in filter(None, (options.json, options.plot)):
        try:
            open(path, "a").close()
        except OSError as error:
            parser.error(f"cannot write the results: {error}")
    return options


def machine(options):
    """Describes the machine and the versions. Ends the program if there are too few GPUs."""
    found = {"device": options.device, "cores": len(os.sched_getaffinity(0))}
    found |= {name: value for name, value in os.environ.items() if name.startswith("NCCL_")}
    if not set(options.contenders) & set(PEERS):
        return found
    done = subprocess.run([options.python, "-c", MACHINE], capture_output=True, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1]
        sys.exit(f"[scaling] {options.python} cannot import torch ({reason}): use --python")
    version, gpus, name = done.stdout.split("\n")[:3]
    if options.device == "cuda" and int(gpus) < options.gpus[-1]:
        sys.exit(f"[scaling] {gpus} GPUs are visible, {options.gpus[-1]} are needed: use --gpus, or --device cpu")
    return found | {"torch": version} | ({"gpu": name} if options.device == "cuda" else {})


def command(options, name, model, size, batch, gpus):
    precision = "bf16" if options.device == "cuda" else "fp32"
    threads = max(1, len(os.sched_getaffinity(0)) // options.gpus[-1])  # the same for each number of GPUs
    measured = (options.device, precision, model, size, 3, batch * gpus, threads)
    if name == OURS:
        return step_command(options.ours, *measured)
    if name == REDUCER:
        return [*options.reducer.split(), "reducer", *step_flags(*measured)]
    step = [options.device, precision, model, str(size), "3", str(batch), str(threads)]
    return [options.python, str(HERE / "peers/ddp.py"), PEERS[name], *step]


def say(text):
    print(f"[scaling] {text}", file=sys.stderr, flush=True)


class Contenders:
    """The ranks of the contenders that still take part, and the seconds per step, or why there are none."""

    def __init__(self):
        self.ranks, self.results = {}, {}

    def attempt(self, name, action, *values):
        try:
            return action(*values)
        except ranks.RanksFailed as failure:
            say(f"{name} failed: {failure}")
            print(failure.errors, file=sys.stderr, flush=True)
            self.results[name] = {"failed": str(failure)}
            if name in self.ranks:
                self.ranks.pop(name).kill()

    def start(self, stack, name, line, gpus):
        def prepare():
            self.ranks[name] = ranks.Ranks(line, gpus)
            stack.push(self.ranks[name])
            return self.ranks[name].ask(WARM_UP_STEPS)

        began = time.monotonic()
        if self.attempt(name, prepare) is not None:
            self.results[name] = {"seconds": []}
            say(f"{name} on {gpus} is ready after {time.monotonic() - began:.0f} s")

    def round(self, steps):
        for name in list(self.ranks):
            seconds = self.attempt(name, self.ranks[name].ask, steps)
            if seconds is not None:
                self.results[name]["seconds"].append(seconds)


def measure(options, model, size, batch, gpus):
    contenders = Contenders()
    with contextlib.ExitStack() as stack:
        for name in options.contenders:
            contenders.start(stack, name, command(options, name, model, size, batch, gpus), gpus)
        for _ in range(options.rounds):
            contenders.round(options.steps)
    return {"work": model, "size": size, "batch": batch, "gpus": gpus, "contenders": contenders.results}


def print_row(row, rates):
    """Prints a line per contender; `rates` holds the samples per second of the same work on one GPU."""
    ours = row["contenders"].get(OURS, {}).get("seconds", [])
    for name, result in row["contenders"].items():
        start = f"| {row['work']}, {row['size']} px, {row['batch']} per GPU | {row['gpus']} | {name} |"
        if "failed" in result:
            print(f"{start} failed: {result['failed'].replace('|', '/')} | | | |", flush=True)
            continue
        seconds = sorted(result["seconds"])
        rate = row["gpus"] * row["batch"] / statistics.median(seconds)
        if row["gpus"] == 1:
            rates[name] = rate
        scaling = f"{rate / rates[name]:.2f}" if name in rates else ""
        ratios = sorted(a / b for a, b in zip(ours, result["seconds"])) if name != OURS else []
        ratio = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})" if ratios else ""
        least, median, most = (1e3 * value for value in (seconds[0], statistics.median(seconds), seconds[-1]))
        print(f"{start} {median:.2f} ({least:.2f} to {most:.2f}) | {rate:,.0f} | {scaling} | {ratio} |", flush=True)


def main():
    options = arguments()
    ranks.end_by_signals()
    results = machine(options)
    results |= {"scaling": "strong" if options.strong else "weak", "steps": options.steps, "rows": []}
    print(", ".join(f"{name} {value}" for name, value in results.items() if name != "rows"), "\n")
    print("| work | GPUs | contender | ms/step (least to most) | samples/s | times one GPU | ours ÷ it, time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model, size, batch in options.work:
        rates = {}
        for gpus in options.gpus:
            row = measure(options, model, size, batch // gpus if options.strong else batch, gpus)
            results["rows"].append(row)
            print_row(row, rates)
            if options.json:
                pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    if options.plot:
        pathlib.Path(options.plot).write_text(scaling_plot.drawing([results]))
    if not any("seconds" in result for row in results["rows"] for result in row["contenders"].values()):
        sys.exit("[scaling] no contender could be measured")


if __name__ == "__main__":
    main()
