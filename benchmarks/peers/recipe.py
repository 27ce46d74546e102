"""PyTorch's side of benchmarks/time_to_accuracy.py: trains by the recipe of a configuration.

usage: python benchmarks/peers/recipe.py eager|compiled|graphs CONFIG ROOT SEED

graphs: torch.compile with CUDA graphs (mode="reduce-overhead").
Prints the seconds of each epoch's training, then the accuracy on test of the averaged weights after the last epoch. Of
the settings it knows those that the recipes in configs/ for ResNets on Fashion-MNIST and CIFAR-10 use, and refuses
other transforms, optimizers and schedules. All samples are on the GPU, where they are also augmented.
"""

import functools
import gzip
import math
import pathlib
import re
import sys
import time
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/parity"))

import reference_nets
import torch
from torch.nn import functional as F


def read_fashion_mnist(root, split):
    prefix = {"train": "train", "test": "t10k"}[split]

    def content(kind, header):
        raw = gzip.decompress(pathlib.Path(root, f"{prefix}-{kind}-ubyte.gz").read_bytes())
        return torch.frombuffer(bytearray(raw[header:]), dtype=torch.uint8)

    return content("images-idx3", 16).view(-1, 1, 28, 28), content("labels-idx1", 8).long()


def read_cifar10(root, split):
    names = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}[split]
    raw = bytearray().join(pathlib.Path(root, name).read_bytes() for name in names)
    records = torch.frombuffer(raw, dtype=torch.uint8).view(-1, 1 + 3 * 32 * 32)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].long()


# Of each dataset: how it is read, the samples of train that become val, and mean and deviation of the channels.
DATA = {
    "fashion_mnist": (read_fashion_mnist, 6_000, [0.2860], [0.3530]),
    "cifar10": (read_cifar10, 5_000, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
}


class Augment:
    """The transforms of the list `specs`, for normalized images N × channels × height × width."""

    def __init__(self, specs, black):
        self.black = black.view(1, -1, 1, 1)  # a black pixel, normalized
        self.steps = []
        for spec in specs:
            name, given = re.fullmatch(r"(\w+)(?:\((.*)\))?", spec).groups()
            values = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", given or "")}
            self.steps.append(functools.partial(getattr(self, name), **values))

    def __call__(self, images):
        for step in self.steps:
            images = step(images)
        return images

    def random_horizontal_flip(self, images, p=0.5):
        flipped = torch.rand(len(images), 1, 1, 1, device=images.device) < p
        return torch.where(flipped, images.flip(3), images)

    def random_crop(self, images, padding=4):
        padding = int(padding)
        count, channels, height, width = images.shape
        padded = self.black.expand(count, channels, height + 2 * padding, width + 2 * padding).clone()
        padded[:, :, padding : padding + height, padding : padding + width] = images

        def places(size):
            begins = torch.randint(2 * padding + 1, (count, 1), device=images.device)
            return begins + torch.arange(size, device=images.device)

        rows = places(height)[:, None, :, None].expand(-1, channels, -1, padded.shape[3])
        columns = places(width)[:, None, None, :].expand(-1, channels, height, -1)
        return padded.gather(2, rows).gather(3, columns)

    def random_erasing(self, images, p=0.5):
        count, _, height, width = images.shape

        def uniform(low, high):
            return torch.empty(count, 1, 1, 1, device=images.device).uniform_(low, high)

        area = height * width * uniform(0.02, 0.33)
        ratio = uniform(math.log(0.3), math.log(3.3)).exp()
        tall = (area * ratio).sqrt().round().clamp(max=height - 1)
        wide = (area / ratio).sqrt().round().clamp(max=width - 1)
        top = (uniform(0, 1) * (height - tall + 1)).floor()
        left = (uniform(0, 1) * (width - wide + 1)).floor()
        y = torch.arange(height, device=images.device).view(1, 1, -1, 1)
        x = torch.arange(width, device=images.device).view(1, 1, 1, -1)
        inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide) & (uniform(0, 1) < p)
        return torch.where(inside, self.black, images)


def share_of_peak(schedule, step, steps, warmup):
    """The learning rate of a step as a share of its peak; steps count from 0."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / (steps - warmup)
    if schedule["name"] == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if schedule["name"] != "one_cycle":
        sys.exit(f"the schedule {schedule['name']} is not known here")
    cycle = {"pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4} | schedule.get("one_cycle", {})
    first = 1 / cycle["div_factor"]
    rise = cycle["pct_start"] * steps - 1
    if step <= rise:
        low, part = first, step / rise
    else:
        low, part = first / cycle["final_div_factor"], 1 - (step - rise) / (steps - 1 - rise)
    return low + (1 - low) * (1 - math.cos(math.pi * part)) / 2


def main(mode, config, root, seed):
    with open(config, "rb") as file:
        config = tomllib.load(file)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(int(seed))
    torch.backends.cudnn.benchmark = True
    read, val, mean, deviation = DATA[config["data"]["name"]]
    mean, deviation = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, deviation))

    def split(name):
        images, labels = (tensor.to(device) for tensor in read(root, name))
        images = ((images / 255 - mean) / deviation).to(memory_format=torch.channels_last)
        return images, labels

    images, labels = split("train")
    images, labels = images[val:], labels[val:]
    test_images, test_labels = split("test")
    augment = Augment(config["transform"]["train"], -mean / deviation)

    train, optimizer = config["train"], config["optimizer"]
    if optimizer["name"] != "sgd":
        sys.exit(f"the optimizer {optimizer['name']} is not known here")
    small = config["model"].get("resnet", {}).get("stem") == "small"
    net = reference_nets.make(config["model"]["name"], images.shape[1], images.shape[2], 10, small, 8)
    net.to(device, memory_format=torch.channels_last)
    spared = [p for p in net.parameters() if p.dim() < 2 and not optimizer.get("decay_bias_norm", True)]
    decayed = [p for p in net.parameters() if all(p is not other for other in spared)]
    groups = [{"params": decayed, "weight_decay": optimizer["weight_decay"]}, {"params": spared, "weight_decay": 0}]
    groups = [group for group in groups if group["params"]]
    sgd = torch.optim.SGD(groups, optimizer["lr"], momentum=0.9, nesterov=True, fused=True)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(train.get("precision"))
    autocast = functools.partial(torch.autocast, device, dtype, enabled=dtype is not None)
    smoothing = config.get("task", {}).get("classification", {}).get("label_smoothing", 0)

    averaged = torch.optim.swa_utils.AveragedModel(net, use_buffers=True, multi_avg_fn=None)
    kept, running = list(averaged.module.state_dict().values()), list(net.state_dict().values())
    floating = [i for i, tensor in enumerate(kept) if tensor.is_floating_point()]
    kept, running = [kept[i] for i in floating], [running[i] for i in floating]

    def forward(batch, targets):
        with autocast():
            logits = net(batch)
        return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)

    if mode != "eager":  # not dynamic: the last batch of an epoch is smaller, and gets kernels of its own
        forward = torch.compile(forward, dynamic=False, mode="reduce-overhead" if mode == "graphs" else None)
    size = config["loader"]["batch_size"]
    per_epoch = math.ceil(len(images) / size)
    steps = train["epochs"] * per_epoch
    warmup = round(config["schedule"].get("warmup_epochs", 0) * per_epoch)
    step = 0
    for _ in range(train["epochs"]):
        began = time.perf_counter()
        net.train()
        for chosen in torch.randperm(len(images), device=device).split(size):
            for group in sgd.param_groups:
                group["lr"] = optimizer["lr"] * share_of_peak(config["schedule"], step, steps, warmup)
            if mode == "graphs":
                torch.compiler.cudagraph_mark_step_begin()
            loss = forward(augment(images[chosen]), labels[chosen])
            sgd.zero_grad()
            loss.backward()
            if clip := train.get("clip_grad_norm", 0):
                torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
            sgd.step()
            step += 1
            if decay := train.get("ema_decay", 0):
                torch._foreach_lerp_(kept, running, 1 - min(decay, (1 + step) / (10 + step)))
        loss.item()
        print(time.perf_counter() - began, flush=True)

    judged = averaged.module if train.get("ema_decay", 0) else net
    judged.eval()
    with torch.no_grad(), autocast():
        right = sum((judged(part).argmax(1) == answers).sum().item()
                    for part, answers in zip(test_images.split(1000), test_labels.split(1000)))
    print(right / len(test_labels))


if __name__ == "__main__":
    main(*sys.argv[1:])
