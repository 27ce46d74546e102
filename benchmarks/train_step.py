"""Trainyard's training step against PyTorch's eager one, in turns in one process tree, on the same threads.

usage: python benchmarks/train_step.py BINARY [device precision model size channels batch threads rounds steps]
"""

import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/parity"))

import reference_nets
import torch

DEFAULTS = ["cpu", "fp32", "convnet", "28", "1", "128", "2", "15", "20"]


def main():
    binary, given = sys.argv[1], sys.argv[2:]
    device, precision, model, size, channels, count, threads, rounds, steps = given + DEFAULTS[len(given) :]
    ours = subprocess.Popen(
        [binary, device, precision, model, size, channels, count, threads],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    torch.set_num_threads(int(threads))
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    net = reference_nets.make(model, int(channels), int(size), 10, int(size) <= 64, 8)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
    images = torch.randn(int(count), int(channels), int(size), int(size))
    images = images.to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (int(count),), device=device)

    def time_ours():
        ours.stdin.write(steps + "\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    def time_eager():
        start = time.perf_counter()
        for _ in range(int(steps)):
            optimizer.zero_grad()
            with torch.autocast(device, dtype, enabled=dtype is not None):
                logits = net(images)
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        loss.item()
        return (time.perf_counter() - start) / int(steps)

    time_ours(), time_eager()
    pairs = [(time_ours(), time_eager()) for _ in range(int(rounds))]
    ratios = sorted(a / b for a, b in pairs)
    print(
        f"{model} {precision} on {device}, batch {count}, {threads} threads: "
        f"trainyard {1e3 * statistics.median(a for a, _ in pairs):.2f} ms, "
        f"eager {1e3 * statistics.median(b for _, b in pairs):.2f} ms a step; "
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}) over {rounds} rounds"
    )


main()
