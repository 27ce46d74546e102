"""Installs the loader, moves the installed tree, and builds and runs examples/ against it in a clean folder.

usage: loader_test.py CMAKE BUILD_FOLDER TORCH_PYTHON
TORCH_PYTHON has the LibTorch that BUILD_FOLDER was built with. Prints the output of the examples. Exit code 77: the
example with tensors could not be tested.
"""

import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = {"cat": 6, "dog": 10}  # val takes two of them, one of each class


def png(side, colour):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def images(folder):
    for number, (name, count) in enumerate(SAMPLES.items()):
        (folder / "train" / name).mkdir(parents=True)
        for i in range(count):
            (folder / "train" / name / f"{i}.png").write_bytes(png(40, (200 - 100 * number, 20 * i, 40)))


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{words} ends with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def build_and_run(cmake, name, prefixes, folder):
    shutil.copytree(ROOT / "examples" / name, folder / name)
    run(cmake, "-S", folder / name, "-B", folder / name / "build", f"-DCMAKE_PREFIX_PATH={';'.join(map(str, prefixes))}",
        "-DCMAKE_BUILD_TYPE=Release")
    run(cmake, "--build", folder / name / "build")
    printed = run(folder / name / "build" / name, folder / "photos", cwd=folder)
    print(f"{name}:\n{printed}", end="")
    return printed.splitlines()


def finds_torch(cmake, torch, folder):
    """Returns whether find_package(Torch) works here: with CUDA it requires a whole toolkit, unlike Trainyard's
    build."""
    project = "cmake_minimum_required(VERSION 3.26)\nproject(torch LANGUAGES CXX)\nfind_package(Torch REQUIRED)\n"
    (folder / "torch").mkdir()
    (folder / "torch" / "CMakeLists.txt").write_text(project)
    words = [cmake, "-S", folder / "torch", "-B", folder / "torch" / "build", f"-DCMAKE_PREFIX_PATH={torch}"]
    return subprocess.run(words, capture_output=True).returncode == 0


def check_headers(installed):
    for header in installed.rglob("*.h"):
        for name in re.findall(r'#include "([^"]+)"', header.read_text()):
            assert name.startswith("trainyard/"), f"{header} includes {name}"


def main():
    cmake, build, python = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for component in ("loader", "loader_torch"):
            run(cmake, "--install", build, "--prefix", folder / "installed", "--component", component)
        prefix = (folder / "installed").rename(folder / "moved")
        check_headers(prefix / "include")
        images(folder / "photos")
        samples = sum(SAMPLES.values()) - 2
        dogs = SAMPLES["dog"] - 1

        lines = build_and_run(cmake, "loader_without_torch", [prefix], folder)
        found = [re.fullmatch(r"(\d+) bytes of (\d+) images, labels sum to (\d+)", line).groups() for line in lines]
        counts = [int(count) for _, count, _ in found]
        assert counts == [4, 4, 4, 2] and sum(counts) == samples, counts
        assert all(int(size) == int(count) * 32 * 32 * 3 for size, count, _ in found), found
        assert sum(int(labels) for _, _, labels in found) == dogs, found

        torch = run(python, "-c", "import torch; print(torch.utils.cmake_prefix_path)").strip()
        if not finds_torch(cmake, torch, folder):
            print("loader_only: skipped, find_package(Torch) fails here")
            sys.exit(77)
        lines = build_and_run(cmake, "loader_only", [prefix, torch], folder)
        pattern = r"epoch ([01]): \[(\d+), 3, 32, 32\] on (cpu|cuda), labels sum to (\d+)"
        found = [re.fullmatch(pattern, line).groups() for line in lines]
        for epoch in "01":
            batches = [batch for batch in found if batch[0] == epoch]
            assert [int(count) for _, count, _, _ in batches] == [4, 4, 4, 2], lines
            assert sum(int(labels) for _, _, _, labels in batches) == dogs, lines


main()
