"""Measures Python's DataLoader with one dataset and prints a line of JSON, as loader_benchmark does for ours.

    loader_peers.py --cell tiny --workers 2 --batch 512 --seconds 3 --how items|lists
    loader_peers.py --cell jpeg --files FOLDER --how pil|torchvision|opencv

items: __getitem__ gives one sample, the default collate stacks them. lists: the sampler hands whole index lists to one
gather (what users turn to when samples are tiny). pil, torchvision, opencv: what decodes and resizes; for large_scaled
with their own ways to decode at a fraction of the size (torchvision has none).
"""
import argparse
import glob
import gzip
import json
import os
import random
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


class Jpegs(Dataset):
    """A random part of each file at 224×224, half of them flipped, as uint8 height × width × 3."""

    def __init__(self, folder, how, scaled):
        from torchvision import transforms

        self.paths = sorted(glob.glob(f"{folder}/train/*/*.jpg"))
        self.load = getattr(self, "load_" + how)
        self.scaled = scaled
        self.params = transforms.RandomResizedCrop.get_params

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.load(self.paths[index]), index % 10

    def crop(self, height, width):
        # get_params asks for no more of a picture than its size.
        return self.params(torch.empty(3, 1, 1).expand(3, height, width), (0.08, 1.0), (3 / 4, 4 / 3))

    def load_pil(self, path):
        from PIL import Image

        image = Image.open(path)
        width, height = image.size
        top, left, h, w = self.crop(height, width)
        if self.scaled:
            image.draft("RGB", (width * 224 // w, height * 224 // h))
        scale = image.size[0] / width
        box = (left * scale, top * scale, (left + w) * scale, (top + h) * scale)
        image = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR, box=box)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(224, 224, 3)

    def load_torchvision(self, path):
        from torchvision.io import ImageReadMode, decode_image
        from torchvision.transforms.v2 import functional

        image = decode_image(path, ImageReadMode.RGB)
        top, left, h, w = self.crop(*image.shape[1:])
        image = functional.resized_crop(image, top, left, h, w, [224, 224], antialias=True)
        if random.random() < 0.5:
            image = image.flip(2)
        return image.permute(1, 2, 0).contiguous()

    def load_opencv(self, path):
        import cv2

        cv2.setNumThreads(0)
        how, scale = cv2.IMREAD_COLOR, 1
        if self.scaled:
            how, scale = cv2.IMREAD_REDUCED_COLOR_2, 2
        image = cv2.imread(path, how)
        top, left, h, w = (n // scale for n in self.crop(image.shape[0] * scale, image.shape[1] * scale))
        image = cv2.resize(image[top : top + h, left : left + w], (224, 224), interpolation=cv2.INTER_LINEAR)
        if random.random() < 0.5:
            image = cv2.flip(image, 1)
        return torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


class Packed(Dataset):
    """Raw 256×256 pictures in one file, found as docs/packed-format.md says."""

    def __init__(self, folder):
        import numpy

        raw = numpy.memmap(f"{folder}/train.packed", mode="r")
        count, index = numpy.frombuffer(raw[-56:-40], "<u8")
        record = numpy.dtype(
            [("offset", "<u8"), ("size", "<u8"), ("crc32", "<u4"), ("label", "<u4"), ("hw", "<u4", 2)]
        )
        self.index = numpy.frombuffer(raw[index : index + count * 32], record)
        self.raw = raw

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        record = self.index[i]
        pixels = self.raw[record["offset"] : record["offset"] + record["size"]]
        return torch.from_numpy(pixels.reshape(256, 256, 3)), int(record["label"])


def make_dataset(options):
    if options.cell == "packed":
        return Packed(f"{options.files}/packed")
    if options.cell in ("jpeg", "large", "large_scaled"):
        folder = options.cell.split("_")[0]
        return Jpegs(f"{options.files}/{folder}", options.how, options.cell.endswith("scaled"))
    return InMemory(options.cell)


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
    parser.add_argument("--how", choices=("items", "lists", "pil", "torchvision", "opencv"), default="items")
    parser.add_argument("--files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = make_dataset(options)
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
        "gap_ms": 1e3 * (percentile(gaps, 0.5) - percentile(waits, 0.5)),
        "wait_p99_ms": 1e3 * percentile(waits, 0.99),
        "cpu_s_per_1000": 1e3 * (cpu_seconds(pids) - cpu_before) / samples,
        "pss_mib": pss_mib(pids),
    }))


if __name__ == "__main__":
    main()
