"""Compares Trainyard's training step with PyTorch's: eager, compiled, compiled with CUDA graphs
(mode="reduce-overhead"), and, on a GPU, with the whole step of the compiled net captured in one CUDA graph. They take
turns in one process tree, on the same threads. A contender that does not fit into the GPU's memory is left out.

usage: python benchmarks/train_step.py TRAINYARD [device precision model size channels batch threads rounds steps]

`precision` may be a list: "fp16,bf16" measures Trainyard in fp16, and PyTorch in both. For the model gpt2, `size` is the
number of tokens of a sample and `channels` that of the vocabulary. The memory is the largest size of all tensors at once,
from the making of the model on, including cuBLAS's workspaces.
"""

import functools
import gc
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

BENCHMARKS = pathlib.Path(__file__).parent
sys.path[:0] = [str(BENCHMARKS / "peers"), str(BENCHMARKS.parent / "tests/parity")]

import gpt2
import reference_nets
import torch
from step_command import step_command, step_flags, write_tokens
from torch.nn import functional as F

DEFAULTS = ["cpu", "fp32", "convnet", "28", "1", "128", "2", "15", "20"]
PEAK_FLOPS = 989.4e12  # dense bf16 of an H100 or H200 (SXM), by the datasheet


class Ours:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds_a_step(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class Images:
    """The training of an image classifier."""

    def __init__(self, device, model, size, channels, count):
        self.net = reference_nets.make(model, channels, size, 10, size <= 64, 8)
        self.net.to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
        )
        # Channels last also with a single channel, whose strides .to(memory_format=...) would leave as they are.
        self.images = torch.randn(count, size, size, channels).permute(0, 3, 1, 2).to(device)
        self.labels = torch.randint(0, 10, (count,), device=device)

    def loss(self, net, autocast):
        with autocast:
            logits = net(self.images)
        return F.cross_entropy(logits.float(), self.labels)


class Text:
    """The training of GPT-2."""

    def __init__(self, device, size, vocabulary, count):
        self.net = gpt2.GPT2(vocabulary, size).to(device)
        groups = [
            {"params": [p for p in self.net.parameters() if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for p in self.net.parameters() if p.dim() < 2], "weight_decay": 0},
        ]
        self.optimizer = torch.optim.AdamW(groups, 1e-3, (0.9, 0.95), fused=True, capturable=device == "cuda")
        tokens = torch.randint(0, vocabulary, (count, size + 1), device=device)
        self.tokens, self.targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def loss(self, net, autocast):
        with autocast:
            return net(self.tokens, self.targets)


class PyTorch:
    def __init__(self, training, wrap, device, precision, whole_step=False):
        self.training, self.device = training, device
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self.autocast = functools.partial(torch.autocast, device, dtype, enabled=dtype is not None)
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
        self.net = wrap(training.net)
        self.step = self.captured() if whole_step else self.launch

    def launch(self):
        self.training.optimizer.zero_grad()
        loss = self.training.loss(self.net, self.autocast())
        self.scaler.scale(loss).backward()
        self.scaler.step(self.training.optimizer)
        self.scaler.update()
        return loss.detach()

    def captured(self):
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.launch()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            loss = self.launch()

        def replay():
            graph.replay()
            return loss

        return replay

    def seconds_a_step(self, steps):
        self.step()  # allocates what the turn before has freed
        if self.device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            loss = self.step()
        loss.item()
        seconds = (time.perf_counter() - start) / steps
        del loss
        torch.cuda.empty_cache()
        return seconds


def peers(device, precision, make_training):
    """Functions that make the contenders."""

    def peer(wrap, **options):
        return lambda: PyTorch(make_training(), wrap, device, precision, **options)

    made = {
        "eager": peer(lambda net: net),
        "compiled": peer(torch.compile),
        "compiled, graphs": peer(functools.partial(torch.compile, mode="reduce-overhead")),
    }
    if device == "cuda":
        made["compiled, one graph"] = peer(torch.compile, whole_step=True)
    return made


def peak_memory_of_ours(program, measured):
    command = [*program.split(), "bench", "step", "--json", "-", "--rounds", "1", "--seconds", "0.1", *step_flags(*measured)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["peak_memory_bytes"]


def started(device, precision, make_training, steps):
    """Returns the peers that fit into the memory, after their first steps, and the memory that each has taken."""
    contenders, memory = {}, {}
    for name, make in peers(device, precision, make_training).items():
        try:
            if device == "cuda":
                torch._C._cuda_clearCublasWorkspaces()  # each contender's own ones count
                others = torch.cuda.memory_allocated()
                torch.cuda.reset_peak_memory_stats()
            contenders[name] = make()
            contenders[name].seconds_a_step(steps)  # the first steps run torch.compile
            if device == "cuda":
                memory[name] = torch.cuda.max_memory_allocated() - others
        except torch.OutOfMemoryError:
            contenders.pop(name, None)
            torch.cuda.empty_cache()
            print(f"{name}, {precision}: not measured, the GPU's memory is too small")
    return contenders, memory


def take_turns(contenders, rounds, steps):
    """Returns the seconds of a step in each round."""
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, one in contenders.items():
            times[name].append(one.seconds_a_step(steps))
    return times


def show(times, memory, precisions, flops_of_text):
    for name, measured in times.items():
        ratios = sorted(ours / theirs for ours, theirs in zip(times["trainyard"], measured))
        seconds = statistics.median(measured)
        rate = ""
        if flops_of_text:
            tokens, flops = flops_of_text
            rate = f", {tokens / seconds:,.0f} tokens/s, MFU {flops / seconds / PEAK_FLOPS:.1%}"
        size = f", {memory[name] / 2**20:,.0f} MiB" if name in memory else ""
        print(
            f"  {name + ', ' + precisions[name != 'trainyard']:<25} {1e3 * seconds:8.2f} ms a step{rate}{size}; "
            f"trainyard's time to it {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})",
            flush=True,
        )


def main():
    program, given = sys.argv[1], sys.argv[2:]
    device, precisions, model, size, channels, count, threads, rounds, steps = given + DEFAULTS[len(given) :]
    size, channels, count, threads, rounds, steps = map(int, (size, channels, count, threads, rounds, steps))
    precision, *_ = precisions = precisions.split(",")
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precisions != ["fp32"]
    is_text = model == "gpt2"
    flops_of_text = (count * size, count * size * gpt2.flops_a_token(channels, size)) if is_text else None

    def make_training():
        return Text(device, size, channels, count) if is_text else Images(device, model, size, channels, count)

    with tempfile.TemporaryDirectory() as folder:
        if is_text:
            write_tokens(folder, size, channels)
        device_of_ours = "cuda:0" if device == "cuda" else device  # not one rank on each GPU
        measured = (device_of_ours, precision, model, size, channels, count, threads, folder)
        memory = peak_memory_of_ours(program, measured)
        ours = Ours(step_command(program, *measured))
        ours.seconds_a_step(steps)  # the first steps benchmark cuDNN's algorithms
    print(f"{model} on {device}, batch {count}, {threads} threads, {rounds} rounds:")

    # One precision after the other: with the graphs of both, PyTorch has ended with an illegal memory access.
    def measure(each):
        contenders, memory_of_peers = started(device, each, make_training, steps)
        times = take_turns({"trainyard": ours} | contenders, rounds, steps)
        show(times, {"trainyard": memory} | memory_of_peers, (precision, each), flops_of_text)

    for each in precisions:
        measure(each)
        torch._dynamo.reset()
        gc.collect()


main()
