"""Runs an example of examples/ on generated data.

usage: run_test.py TRAINYARD EXAMPLE CLASSIFY
CLASSIFY is the program of examples/classify.
"""

import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINYARD, CLASSIFY = (os.path.abspath(path) for path in (sys.argv[1], sys.argv[3]))
FASTER = ["--train.device", "cpu", "--train.precision", "fp32", "--train.threads", "1", "--loader.workers", "1"]


def png(rows, colour_type):
    """Returns an image of 8 bits per channel: grey (0) or RGB (2)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width = len(rows[0]) // (3 if colour_type == 2 else 1)
    header = struct.pack(">IIBBBBB", width, len(rows), 8, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env=os.environ | {"TRAINYARD": TRAINYARD})
    assert done.returncode == 0, f"{words} ends with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def example(name, *arguments):
    return run(ROOT / "examples" / name / "run", *arguments)


def photos(side):
    for split in ("train", "test"):
        for name, colour in (("red", b"\xc8\x28\x28"), ("blue", b"\x28\x28\xc8")):
            for i in range(8):
                write(pathlib.Path("photos", split, name, f"{i}.png"), png([colour * (side + i)] * (side + i), 2))


def fine_tuning():
    """Trains on red and blue images, from the weights of a ResNet-18 for 10 classes."""
    run(TRAINYARD, "train", "--run.name", "before", "--model.name", "resnet18", "--data.name", "synthetic",
        "--data.synthetic.shape", "32,32,3", "--data.synthetic.samples", "20", "--loader.batch_size", "8",
        "--train.epochs", "1", *FASTER)
    weights = pathlib.Path("runs/before/checkpoints/last/model.safetensors")
    write(pathlib.Path("data/weights/resnet18.safetensors"), weights.read_bytes())
    photos(40)
    printed = example("fine_tuning", "photos", "--train.epochs", "2", "--loader.batch_size", "4",
                      "--transform.train", "random_resized_crop(size=32)", "--transform.test", "center_crop(size=32)", *FASTER)
    assert re.search(r"frozen +2 of 6 stages", printed), printed
    assert re.search(r"test/accuracy +\S+ on all 16 samples", printed), printed


def segmentation():
    """Segments a bright square on a dark ground."""
    square = [range(10, 30), range(20, 44)]
    inside = [[int(y in square[0] and x in square[1]) for x in range(48)] for y in range(40)]
    for split, count in (("train", 10), ("test", 2)):
        for i in range(count):
            image = [b"".join(bytes([40 + i + 180 * bit] * 3) for bit in row) for row in inside]
            write(pathlib.Path("scenes", split, "images", f"{i}.png"), png(image, 2))
            write(pathlib.Path("scenes", split, "masks", f"{i}.png"), png([bytes(row) for row in inside], 0))
    write(pathlib.Path("scenes/classes.txt"), b"ground\nsquare\n")
    printed = example("segmentation", "scenes", "--train.epochs", "2", "--loader.batch_size", "2", *FASTER)
    assert "test/miou" in printed, printed
    masks = list(pathlib.Path("runs/segmentation/masks").rglob("*.png"))
    assert len(masks) == 2, masks


def character_gpt():
    text = "ROMEO: But, soft! what light through yonder window breaks?\n" * 100
    write(pathlib.Path("plays/input.txt"), text.encode())
    printed = example("character_gpt", "plays", "--train.epochs", "1", *FASTER)
    assert "ROMEO: " in printed, printed


def classify():
    """Prints the same as predict for images that are resized and cropped."""
    photos(40)
    size = ["resize(size=36)", "center_crop(size=32)"]
    run(TRAINYARD, "train", "--run.name", "colours", "--data.name", "image_folder", "--data.root", "photos", "--model.name",
        "convnet", "--train.epochs", "3", "--loader.batch_size", "4",
        *[word for step in size for split in ("train", "test") for word in (f"--transform.{split}", step)], *FASTER)
    for image in ("photos/test/red/5.png", "photos/test/blue/0.png"):
        name, *expected = run(TRAINYARD, "predict", "runs/colours", image).splitlines()
        assert name == image
        printed = run(CLASSIFY, "runs/colours", image).splitlines()
        assert printed == expected, (printed, expected)
    done = subprocess.run([CLASSIFY, "runs/colours", "photos/none.png"], capture_output=True, text=True)
    assert done.returncode == 1 and "photos/none.png" in done.stderr, done


def cuda_layer():
    """Checks that a model with the layer learns."""
    photos(8)
    printed = run(TRAINYARD, "train", "--data.name", "image_folder", "--data.root", "photos", "--model.name",
                  "squared_relu_mlp", "--transform.train", "resize(size=8)", "--transform.test", "resize(size=8)",
                  "--train.epochs", "3", "--loader.batch_size", "4", *FASTER)
    assert re.search(r"test/accuracy +1.0000", printed), printed


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        {check.__name__: check for check in (fine_tuning, segmentation, character_gpt, classify, cuda_layer)}[sys.argv[2]]()
    print(f"passed  {sys.argv[2]}")


main()
