"""Compares Trainyard's training step with PyTorch's: eager, compiled, and compiled with CUDA graphs
(mode="reduce-overhead"). They take turns in one process tree, on the same threads.

usage: python benchmarks/train_step.py BINARY [device precision model size channels batch threads rounds steps]
"""

import functools
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/parity"))

import reference_nets
import torch

DEFAULTS = ["cpu", "fp32", "convnet", "28", "1", "128", "2", "15", "20"]


class Ours:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds_a_step(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class PyTorch:
    def __init__(self, net, wrap, device, precision, images, labels):
        self.device, self.images, self.labels = device, images, labels
        self.dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        net = net.to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            net.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
        )
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
        self.net = wrap(net)

    def seconds_a_step(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad()
            with torch.autocast(self.device, self.dtype, enabled=self.dtype is not None):
                logits = self.net(self.images)
            loss = torch.nn.functional.cross_entropy(logits.float(), self.labels)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        loss.item()
        return (time.perf_counter() - start) / steps


def main():
    binary, given = sys.argv[1], sys.argv[2:]
    device, precision, model, size, channels, count, threads, rounds, steps = given + DEFAULTS[len(given) :]
    size, channels, count, threads, rounds, steps = map(int, (size, channels, count, threads, rounds, steps))
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    images = torch.randn(count, channels, size, size).to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (count,), device=device)

    def peer(wrap):
        net = reference_nets.make(model, channels, size, 10, size <= 64, 8)
        return PyTorch(net, wrap, device, precision, images, labels)

    contenders = {
        "trainyard": Ours([binary, device, precision, model, *map(str, (size, channels, count, threads))]),
        "eager": peer(lambda net: net),
        "compiled": peer(torch.compile),
        "compiled, graphs": peer(functools.partial(torch.compile, mode="reduce-overhead")),
    }
    for one in contenders.values():  # the first steps benchmark cuDNN's algorithms and run torch.compile
        one.seconds_a_step(steps)
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, one in contenders.items():
            times[name].append(one.seconds_a_step(steps))

    print(f"{model} {precision} on {device}, batch {count}, {threads} threads, {rounds} rounds:")
    for name, measured in times.items():
        ratios = sorted(ours / theirs for ours, theirs in zip(times["trainyard"], measured))
        print(
            f"  {name:<16} {1e3 * statistics.median(measured):8.2f} ms a step; trainyard's time to it "
            f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


main()
