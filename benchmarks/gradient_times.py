"""Measures when in a training step the gradient of each parameter is ready, on one device, without ranks:

    python benchmarks/gradient_times.py --work resnet50,224,256 --json gradients.json

The step is PyTorch's eager one, of the same model as in peers/ddp.py. Times are shares of the step, so that they also
apply to a faster step of the same model. scaling_model.py reads the JSON.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/parity"))

import reference_nets
import torch

WARM_UP_STEPS = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--work", required=True, metavar="MODEL,SIZE,BATCH")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", required=True)
    return parser.parse_args()


class Moment:
    """A point in the device's queue of work."""

    def __init__(self, device):
        self.event = torch.cuda.Event(enable_timing=True) if device == "cuda" else None
        if self.event:
            self.event.record()
        self.time = time.perf_counter()

    def since(self, start):
        """In seconds; on a GPU, synchronize it first."""
        return start.event.elapsed_time(self.event) / 1e3 if self.event else self.time - start.time


class Step:
    def __init__(self, device, model, size, count):
        self.device = device
        torch.backends.cudnn.benchmark = True
        self.net = reference_nets.make(model, 3, size, 10, size <= 64, 8).to(device, memory_format=torch.channels_last)
        self.parameters = list(self.net.parameters())
        self.optimizer = torch.optim.SGD(self.parameters, 1e-3, momentum=0.9, nesterov=True, fused=True)
        self.images = torch.randn(count, 3, size, size).to(device, memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (count,), device=device)
        self.ready = {}
        for i, parameter in enumerate(self.parameters):
            parameter.register_post_accumulate_grad_hook(lambda _, i=i: self.ready.update({i: Moment(device)}))

    def run(self):
        """The step's seconds, the share at which the backward pass ends, and the shares of the parameters."""
        self.optimizer.zero_grad()
        start = Moment(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            logits = self.net(self.images)
        torch.nn.functional.cross_entropy(logits.float(), self.labels).backward()
        backward = Moment(self.device)
        self.optimizer.step()
        end = Moment(self.device)
        if self.device == "cuda":
            torch.cuda.synchronize()
        whole = end.since(start)
        ready = [self.ready[i].since(start) / whole for i in range(len(self.ready))]
        return whole, backward.since(start) / whole, ready


def main():
    options = arguments()
    model, size, batch = options.work.split(",")
    step = Step(options.device, model, int(size), int(batch))
    for _ in range(WARM_UP_STEPS):
        step.run()
    seconds, backward, ready = zip(*(step.run() for _ in range(options.steps)))
    gradients = [
        {"bytes": parameter.numel() * parameter.element_size(), "ready": statistics.median(shares)}
        for parameter, shares in zip(step.parameters, zip(*ready))
    ]
    gradients.sort(key=lambda gradient: gradient["ready"])
    results = {"work": options.work, "device": options.device, "torch": torch.__version__}
    results |= {"step_seconds": statistics.median(seconds), "backward_end": statistics.median(backward)}
    pathlib.Path(options.json).write_text(json.dumps(results | {"gradients": gradients}, indent=1) + "\n")
    total = sum(gradient["bytes"] for gradient in gradients)
    print(
        f"{options.work}: {len(gradients)} gradients, {total / 1e6:.1f} MB; {1e3 * results['step_seconds']:.1f} ms/step"
    )
    for share in (0.25, 0.5, 0.75):
        bytes_ready = sum(gradient["bytes"] for gradient in gradients if gradient["ready"] <= share)
        print(f"after {share:.0%} of the step {bytes_ready / total:.0%} of the bytes are ready")


if __name__ == "__main__":
    main()
