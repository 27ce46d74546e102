"""Measures Python's DataLoader with one dataset and prints a line of JSON, as loader_benchmark does for ours.

    loader_peers.py --cell tiny --workers 2 --batch 512 --seconds 3 --how items|lists

items: __getitem__ gives one sample, the default collate stacks them. lists: the sampler hands whole index lists to one
gather (what users turn to when samples are tiny).
"""
import argparse
import gzip
import json
import os
import time

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler


def fashion_mnist():
    for folder in ("data/fashion-mnist", "/usr/share/dataset-fashion-mnist", "/usr/share/datasets/fashion-mnist"):
        for name in ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                with (gzip.open if name.endswith("gz") else open)(path) as file:
                    raw = bytearray(file.read()[16:])
                return torch.frombuffer(raw, dtype=torch.uint8).view(-1, 28, 28, 1)
    raise SystemExit("Fashion-MNIST is not installed")


class InMemory(Dataset):
    def __init__(self, cell):
        self.length = {"null": 60_000, "fashion_mnist": 60_000, "tiny": 50_000, "huge": 64}[cell]
        if cell == "null":
            self.samples = torch.zeros(1, 1, dtype=torch.uint8)
        elif cell == "fashion_mnist":
            self.samples = fashion_mnist()
        elif cell == "tiny":
            self.samples = torch.randint(0, 256, (50_000, 32, 32, 3), dtype=torch.uint8)
        else:
            self.samples = torch.rand(4, 1024, 1024, 8)
        self.labels = torch.arange(self.length) % 10

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if isinstance(index, list):
            index = torch.tensor(index)
        return self.samples[index % len(self.samples)], self.labels[index]


def descendants(pid):
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            children = open(f"/proc/{pid}/task/{task}/children").read().split()
        except FileNotFoundError:
            continue
        for child in children:
            pids += descendants(int(child))
    return pids


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_mib(pids):
    kib = 0
    for pid in pids:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def percentile(values, share):
    values = sorted(values)
    return values[int(share * (len(values) - 1))] if values else 0.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell", default="tiny")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--how", choices=("items", "lists"), default="items")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = InMemory(options.cell)
    how = {"batch_size": options.batch, "shuffle": True}
    if options.how == "lists":
        sampler = BatchSampler(RandomSampler(dataset), options.batch, drop_last=False)
        how = {"sampler": sampler, "batch_size": None}
    workers = {"num_workers": options.workers, "persistent_workers": options.workers > 0}

    start = time.perf_counter()
    loader = DataLoader(dataset, **how, **workers)
    batches = iter(loader)
    next(batches)
    first_batch = time.perf_counter() - start
    for _ in batches:
        pass

    pids = descendants(os.getpid())
    cpu_before = cpu_seconds(pids)
    began = time.perf_counter()
    samples, waits, gaps = 0, [], []
    while time.perf_counter() - began < options.seconds:
        asked = time.perf_counter()
        first = True
        for images, _ in loader:
            (gaps if first else waits).append(time.perf_counter() - asked)
            first = False
            samples += len(images)
            asked = time.perf_counter()
            if asked - began > 10 * options.seconds:  # a slow peer need not finish its epoch
                break
    took = time.perf_counter() - began
    print(json.dumps({
        "samples_per_second": samples / took,
        "first_batch_s": first_batch,
        "gap_ms": 1e3 * percentile(gaps, 0.5),
        "wait_p99_ms": 1e3 * percentile(waits, 0.99),
        "cpu_s_per_1000": 1e3 * (cpu_seconds(pids) - cpu_before) / samples,
        "pss_mib": pss_mib(pids),
    }))


if __name__ == "__main__":
    main()
