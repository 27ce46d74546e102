"""Python's DataLoader.

items: __getitem__ returns one sample, and the default collate stacks them. lists: the sampler passes whole index lists
to one gather (a common solution if samples are tiny). pil, torchvision, opencv: the library that decodes and resizes;
for large_scaled with its own way to decode at a fraction of the size (torchvision has none).
"""
import importlib
import random

import numpy
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

import cells
import measure


class InMemory(Dataset):
    def __init__(self, cell):
        self.samples, self.labels = (torch.from_numpy(array) for array in cells.in_memory(cell))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if isinstance(index, list):
            index = torch.tensor(index)
        return self.samples[index % len(self.samples)], self.labels[index]


LIBRARIES = {"pil": "PIL.Image", "torchvision": "torchvision.transforms.v2", "opencv": "opencv"}


class Jpegs(Dataset):
    """A random crop of each file at 224×224, half of them flipped, as uint8 height × width × 3."""

    def __init__(self, options):
        self.paths = cells.jpeg_paths(options)
        self.load = getattr(self, "load_" + options.how)
        importlib.import_module(LIBRARIES[options.how])  # before workers are forked and the timer starts
        self.scaled = options.cell == "large_scaled"

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.load(self.paths[index]), index % 10

    def load_pil(self, path):
        from PIL import Image

        image = Image.open(path)
        width, height = image.size
        top, left, h, w = cells.random_part(height, width)
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
        top, left, h, w = cells.random_part(*image.shape[1:])
        image = functional.resized_crop(image, top, left, h, w, [224, 224], antialias=True)
        if random.random() < 0.5:
            image = image.flip(2)
        return image.permute(1, 2, 0).contiguous()

    def load_opencv(self, path):
        import opencv

        return torch.from_numpy(opencv.load(path, self.scaled))


class Packed(Dataset):
    """Raw 256×256 images in one file, located as docs/packed-format.md specifies."""

    def __init__(self, folder):
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
    return Jpegs(options) if options.cell in cells.JPEGS else InMemory(options.cell)


def prepare(options):
    torch.set_num_threads(1)
    dataset = make_dataset(options)
    how = {"batch_size": options.batch, "shuffle": True}
    if options.how == "lists":
        sampler = BatchSampler(RandomSampler(dataset), options.batch, drop_last=False)
        how = {"sampler": sampler, "batch_size": None}
    workers = {"num_workers": options.workers, "persistent_workers": options.workers > 0}
    return lambda: DataLoader(dataset, **how, **workers)


if __name__ == "__main__":
    measure.main(prepare)
