"""Trains the default configuration from start to exit, alternately with trainyard and with PyTorch's eager mode.

usage: python benchmarks/end_to_end.py BINARY [rounds epochs]

PyTorch uses the same model, batches, flips, optimizer, schedule, evaluation after each epoch and checkpoint then. Its
DataLoader gets whole index lists, so that a batch is one gather and one flip, with zero, one and two workers. trainyard
also logs, checks the machine and finishes with an evaluation on test and a report.
"""

import csv
import gzip
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from torch.nn import functional
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/parity"))

import reference_nets

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
BATCH, LR, WARMUP, VAL = 128, 0.2, 0.5, 6_000  # see configs/fashion_mnist.toml


class FashionMnist(Dataset):
    def __init__(self, samples, augmented):
        def read(kind, header):
            raw = gzip.decompress((DATA / f"train-{kind}-ubyte.gz").read_bytes())
            return torch.frombuffer(bytearray(raw[header:]), dtype=torch.uint8)

        self.images = read("images-idx3", 16).view(-1, 1, 28, 28)[samples]
        self.labels = read("labels-idx1", 8).long()[samples]
        self.augmented = augmented

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        images = self.images[indices].float().sub_(0.2860 * 255).div_(0.3530 * 255)
        if self.augmented:
            flipped = (torch.rand(len(indices)) < 0.5).view(-1, 1, 1, 1)
            images = torch.where(flipped, images.flip(3), images)
        return images, self.labels[indices]


def loader(dataset, sampler, workers):
    batches = BatchSampler(sampler(dataset), BATCH, drop_last=False)
    return DataLoader(dataset, batch_size=None, sampler=batches, num_workers=workers, persistent_workers=workers > 0)


def eager(workers, epochs, folder):
    train = loader(FashionMnist(slice(VAL, None), augmented=True), RandomSampler, workers)
    val = loader(FashionMnist(slice(VAL), augmented=False), SequentialSampler, 0)
    net = reference_nets.make("convnet", 1, 28, 10, True, 8).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), LR, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
    steps, warmup = epochs * len(train), round(WARMUP * len(train))

    def share(step):
        return (step + 1) / warmup if step < warmup else (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    for _ in range(epochs):
        start = time.perf_counter()
        net.train()
        losses = right = torch.zeros(())
        for images, labels in train:
            logits = net(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses = losses + loss.detach() * len(labels)
            right = right + (logits.detach().argmax(1) == labels).sum()
        seconds = time.perf_counter() - start
        net.eval()
        with torch.no_grad():
            correct = sum((net(images).argmax(1) == labels).sum().item() for images, labels in val)
        torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, folder / "checkpoint.pt")
        print(seconds, correct / VAL, flush=True)


def results_of_eager(workers, epochs, folder):
    command = [sys.executable, __file__, "--eager", str(workers), str(epochs), folder]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [tuple(map(float, line.split())) for line in lines]


def results_of_trainyard(binary, epochs, folder):
    command = [binary, "train", "--config", ROOT / "configs/fashion_mnist.toml", "--train.epochs", str(epochs)]
    command += ["--data.root", DATA, "--run.dir", folder, "--run.name", "run"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = csv.DictReader(pathlib.Path(folder, "run/metrics.csv").open())
    return [((60_000 - VAL) / float(row["samples_per_second"]), float(row["val/accuracy"])) for row in rows]


def measure(results_of, how, epochs):
    with tempfile.TemporaryDirectory() as folder:
        before, start = os.times(), time.perf_counter()
        results = results_of(how, epochs, folder)
        after, seconds = os.times(), time.perf_counter() - start
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "start to exit": seconds,
        "epoch's training": statistics.mean(epoch for epoch, _ in results),
        "processor": cpu,
        "accuracy": results[-1][1],
    }


def main():
    if sys.argv[1] == "--eager":
        return eager(int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4]))
    rounds, epochs = map(int, (sys.argv[2:] + ["3", "2"])[:2])
    contenders = {"trainyard": (results_of_trainyard, sys.argv[1])}
    contenders |= {f"eager, {workers} workers": (results_of_eager, workers) for workers in (0, 1, 2)}
    measured = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            measured[name].append(measure(*contender, epochs))
            print(f"{name}: {measured[name][-1]}", file=sys.stderr)

    print(f"epochs: {epochs}, {torch.get_num_threads()} threads, {rounds} rounds; median (smallest to largest):")
    for name, runs in measured.items():
        print(f"  {name}, accuracy {statistics.median(run['accuracy'] for run in runs):.4f}")
        for what in ("start to exit", "epoch's training", "processor"):
            seconds = sorted(run[what] for run in runs)
            ratios = sorted(ours[what] / run[what] for ours, run in zip(measured["trainyard"], runs))
            print(
                f"    {what:<17}{statistics.median(seconds):7.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f}); trainyard's "
                f"time to it {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
            )


main()
