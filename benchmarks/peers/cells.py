"""The samples of ../cells.h for Python: arrays in memory, and JPEGs as paths and how they are transformed."""
import glob
import gzip
import math
import os
import random

import numpy

# Shape and type of a sample.
SPECS = {
    "null": ((1,), "uint8"),
    "fashion_mnist": ((28, 28, 1), "uint8"),
    "tiny": ((32, 32, 3), "uint8"),
    "huge": ((1024, 1024, 8), "float32"),
    "packed": ((256, 256, 3), "uint8"),
} | {cell: ((224, 224, 3), "uint8") for cell in ("jpeg", "large", "large_scaled")}
JPEGS = ("jpeg", "large", "large_scaled")
SIZES = {"null": 60_000, "fashion_mnist": 60_000, "tiny": 50_000, "huge": 64, "packed": 1024}


def size(options):
    return len(jpeg_paths(options)) if options.cell in JPEGS else SIZES[options.cell]


def fashion_mnist():
    for folder in ("data/fashion-mnist", "/usr/share/dataset-fashion-mnist", "/usr/share/datasets/fashion-mnist"):
        for name in ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                with (gzip.open if name.endswith("gz") else open)(path) as file:
                    return numpy.frombuffer(bytearray(file.read()[16:]), "uint8").reshape(-1, 28, 28, 1)
    raise SystemExit("Fashion-MNIST is not installed")


def in_memory(cell):
    """Samples and labels. Sample i is element i modulo the number of samples: huge has only 4 in memory."""
    shape, dtype = SPECS[cell]
    labels = numpy.arange(SIZES[cell]) % 10
    if cell == "null":
        return numpy.zeros((1, *shape), dtype), labels
    if cell == "fashion_mnist":
        return fashion_mnist(), labels
    if cell == "tiny":
        return numpy.random.randint(0, 256, (SIZES[cell], *shape), dtype), labels
    return numpy.random.default_rng().random((4, *shape), dtype), labels


def jpeg_paths(options):
    return sorted(glob.glob(f"{options.files}/{options.cell.split('_')[0]}/train/*/*.jpg"))


def random_part(height, width):
    """Top, left, height and width of a crop, drawn like torchvision's RandomResizedCrop."""
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < h <= height and 0 < w <= width:
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    return 0, 0, height, width
