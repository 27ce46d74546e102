"""Measures the time of all-reduce by message size, with NCCL, or with Gloo on the CPU. Run it with torchrun:

    python -m torch.distributed.run --standalone --nproc-per-node 2 benchmarks/all_reduce.py --json all_reduce_2.json

Sums float32 in place. The time is that of the slowest rank. As in nccl-tests, 1 GB is 10^9 bytes, the algorithm
bandwidth is bytes / time, and the bus bandwidth is 2 (n - 1) / n times that, which is comparable to the bandwidth of
the slowest link for any number of ranks n. --graph launches the operations of a measurement as one CUDA graph, without
Python's launch overhead: this is the cost of small messages in a captured training step. scaling_model.py reads the
JSON.
"""

import argparse
import json
import os
import statistics
import time

import torch
import torch.distributed as dist

KIB, MIB = 1 << 10, 1 << 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--least", type=int, default=KIB, help="bytes (default: 1 KiB)")
    parser.add_argument("--most", type=int, default=512 * MIB, help="bytes (default: 512 MiB)")
    parser.add_argument("--rounds", type=int, default=5, help="over all sizes")
    parser.add_argument("--json", metavar="FILE", help="receives all rounds")
    options = parser.parse_args()
    if options.graph and options.device != "cuda":
        parser.error("--graph needs --device cuda")
    if not 4 <= options.least <= options.most or options.rounds < 1:
        parser.error("--least is at least 4, --most at least --least, --rounds at least 1")
    if "RANK" not in os.environ:
        parser.error("start it with torchrun: python -m torch.distributed.run --standalone --nproc-per-node 2 ...")
    return options


def repetitions(size):
    """Fewer for large messages, so that each size takes a similar time."""
    return max(5, min(100, 128 * MIB // size))


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


class Operations:
    """The operations of one measurement, on the first bytes of a buffer that all sizes share."""

    def __init__(self, buffer, size, graph):
        self.message = buffer[: size // 4]
        self.count = repetitions(size)
        self.graph = None
        self.launch()  # NCCL connects the ranks in the first operation
        synchronize(buffer.device)
        if graph:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.launch()
            self.graph.replay()  # the first launch uploads the graph

    def launch(self):
        for _ in range(self.count):
            dist.all_reduce(self.message)

    def seconds(self):
        """Seconds per operation, on the slowest rank."""
        device = self.message.device
        dist.barrier()
        synchronize(device)
        start = time.perf_counter()
        self.graph.replay() if self.graph else self.launch()
        synchronize(device)
        taken = torch.tensor([(time.perf_counter() - start) / self.count], dtype=torch.float64, device=device)
        dist.all_reduce(taken, dist.ReduceOp.MAX)
        return taken.item()


def measure(options, device):
    """Returns the seconds of each round, by size. Destroys all graphs, which must not outlive their communicators."""
    sizes = [options.least]
    while sizes[-1] * 2 <= options.most:
        sizes.append(sizes[-1] * 2)
    buffer = torch.zeros(sizes[-1] // 4, device=device)
    operations = {size: Operations(buffer, size, options.graph) for size in sizes}
    rows = {size: [] for size in sizes}
    for _ in range(options.rounds):
        for size, operation in operations.items():
            rows[size].append(operation.seconds())
    return rows


def report(options, device, rows):
    ranks, ranks_per_host = dist.get_world_size(), int(os.environ["LOCAL_WORLD_SIZE"])
    results = {"device": options.device, "torch": torch.__version__, "ranks": ranks, "ranks_per_host": ranks_per_host}
    results |= {name: value for name, value in os.environ.items() if name.startswith("NCCL_")}
    if device.type == "cuda":
        results |= {"gpu": torch.cuda.get_device_name(), "graph": options.graph}
        results["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
    print(", ".join(f"{name} {value}" for name, value in results.items()), "\n")
    print("| bytes | µs (least to most) | algorithm GB/s | bus GB/s |\n| --- | --- | --- | --- |")
    for size, seconds in rows.items():
        median = statistics.median(seconds)
        bandwidth = size / median / 1e9
        spread = f"{1e6 * median:.1f} ({1e6 * min(seconds):.1f} to {1e6 * max(seconds):.1f})"
        print(f"| {size:,} | {spread} | {bandwidth:.3f} | {2 * (ranks - 1) / ranks * bandwidth:.3f} |")
    if options.json:
        results["rows"] = [{"bytes": size, "seconds": seconds} for size, seconds in rows.items()]
        with open(options.json, "w") as file:
            file.write(json.dumps(results, indent=1) + "\n")


def main():
    options = arguments()
    if options.device == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        device = torch.device("cpu")
        dist.init_process_group("gloo")
    rows = measure(options, device)
    if dist.get_rank() == 0:
        report(options, device, rows)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
