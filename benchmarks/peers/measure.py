"""Measures a loader and prints a line of JSON, like loader_benchmark. Every program in this folder calls it:

    PEER.py --cell tiny --workers 2 --batch 512 --seconds 3 --how items
    PEER.py --cell jpeg --workers 2 --batch 64 --seconds 3 --how opencv --files FOLDER
"""
import argparse
import json
import os
import time

import cells


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


def check(cell, images, labels):
    """Checks that the loader delivers the same as Trainyard's."""
    shape, dtype = cells.SPECS[cell]
    assert tuple(images.shape[1:]) == shape, f"{images.shape} instead of {shape}"
    assert str(images.dtype).removeprefix("torch.") == dtype, f"{images.dtype} instead of {dtype}"
    assert len(labels) == len(images), f"{len(labels)} labels for {len(images)} samples"


def main(prepare):
    """`prepare` takes the options, loads the data and returns a function that starts the loader: an object that
    delivers an epoch of (images, labels) each time it is iterated over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell", default="tiny", choices=cells.SPECS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--how", default="items")
    parser.add_argument("--files")
    options = parser.parse_args()
    start_loader = prepare(options)

    start = time.perf_counter()
    loader = start_loader()
    batches = iter(loader)
    images, labels = next(batches)
    first_batch = time.perf_counter() - start
    check(options.cell, images, labels)
    size = len(images)
    for images, labels in batches:
        check(options.cell, images, labels)
        size += len(images)
    assert size == cells.size(options), f"{size} samples instead of {cells.size(options)}"

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
        "gap_ms": 1e3 * (percentile(gaps, 0.5) - percentile(waits, 0.5)),
        "wait_p99_ms": 1e3 * percentile(waits, 0.99),
        "cpu_s_per_1000": 1e3 * (cpu_seconds(pids) - cpu_before) / samples,
        "pss_mib": pss_mib(pids),
    }))
