"""PyTorch's data-parallel training step on one batch that stays on the device, like `trainyard bench step --turns`:

    ddp.py eager|compiled|graph DEVICE PRECISION MODEL SIZE CHANNELS BATCH THREADS

One process per rank, with the environment that torchrun sets; BATCH is the batch size of one rank. Reads a number of
steps per line from standard input; rank 0 answers with the mean seconds per step.

eager: DistributedDataParallel, with gradients as bucket views and a static graph; without ranks, no wrapper.
compiled: torch.compile of it, which splits the graph at the buckets: their all-reduce overlaps with the backward pass.
graph: forward and backward pass, all-reduce and optimizer of the compiled model, captured in one CUDA graph. Everything
runs on the capture stream from the start, because DDP keeps nodes that remember the stream on which they were created.

Batch-norm buffers are not broadcast, which DDP does by default before each step: it would cost the peers more time.
"""

import contextlib
import os
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests/parity"))

import reference_nets
import torch
from torch.nn.parallel import DistributedDataParallel

# DDP times its steps 1 to 10 and every hundredth with events, which are not allowed during capture.
STEPS_BEFORE_CAPTURE = 11


class Peer:
    def __init__(self, how, device, precision, model, size, channels, count):
        self.device = device
        self.dtype = {"bf16": torch.bfloat16, "fp32": None}[precision]
        net = reference_nets.make(model, channels, size, 10, size <= 64, 8)
        net.to(device, memory_format=torch.channels_last)
        if torch.distributed.get_world_size() > 1:
            net = DistributedDataParallel(
                net,
                device_ids=[device] if device.type == "cuda" else None,
                broadcast_buffers=False,
                gradient_as_bucket_view=True,
                static_graph=True,
            )
        self.optimizer = torch.optim.SGD(
            net.parameters(), 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
        )
        self.net = net if how == "eager" else torch.compile(net)
        images = torch.randn(count, channels, size, size)
        self.images = images.to(device, memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (count,), device=device)

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            logits = self.net(self.images)
        loss = torch.nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def captured(step, stream):
    """Returns a function that replays the step, and the graph, which must be destroyed before the process group."""
    for _ in range(STEPS_BEFORE_CAPTURE):
        step()
    graph = torch.cuda.CUDAGraph()
    # NCCL's watchdog thread makes calls that a capture by default forbids to all threads.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        loss = step()

    def replay():
        graph.replay()
        return loss

    return replay, graph


def answer(step):
    for line in sys.stdin:
        steps = int(line)
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        loss.item()
        print((time.perf_counter() - start) / steps, flush=True)


def run(how, device, precision, model, size, channels, count, threads):
    torch.set_num_threads(int(threads))
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    if how == "graph" and device != "cuda":
        raise ValueError("a CUDA graph needs a GPU")
    if how == "graph":
        os.environ["TORCH_NCCL_ASYNC_ERROR_HANDLING"] = "0"  # required for DDP by PyTorch's notes on CUDA graphs
    if device == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl", device_id=device)
    else:
        device = torch.device("cpu")
        torch.distributed.init_process_group("gloo")
    stream = torch.cuda.Stream() if how == "graph" else None
    with torch.cuda.stream(stream) if stream else contextlib.nullcontext():
        peer = Peer(how, device, precision, model, int(size), int(channels), int(count))
        step, graph = captured(peer.step, stream) if stream else (peer.step, None)
        answer(step)
        if graph:
            graph.reset()
    torch.distributed.destroy_process_group()


def main():
    try:
        run(*sys.argv[1:])
    except Exception as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        print(f"{type(error).__name__}: {lines[0]}", file=sys.stderr, flush=True)
        os._exit(1)  # the other ranks wait in a collective, so no orderly shutdown is possible


main()
