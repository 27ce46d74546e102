"""Tests scripts/data with a server and archives that replace the published ones.

usage: data_test.py TRAINYARD
TRAINYARD reads the datasets that the script creates. Needs Pillow.
"""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import zipfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "scripts/data")
TRAINYARD = ""

# Runs scripts/data with another table of files: the addresses, sizes and checksums in the environment.
WITH_STAND_INS = f"""
import dataclasses, importlib.machinery, importlib.util, json, os, sys
loader = importlib.machinery.SourceFileLoader("data", {SCRIPT!r})
script = importlib.util.module_from_spec(importlib.util.spec_from_loader("data", loader))
sys.modules["data"] = script
sys.dont_write_bytecode = True
loader.exec_module(script)
script.MOST_BYTES = int(os.environ["MOST_BYTES"])
for name, files in json.loads(os.environ["STAND_INS"]).items():
    files = tuple(script.File(*file) for file in files)
    script.PUBLISHED[name] = dataclasses.replace(script.PUBLISHED[name], files=files)
sys.exit(script.main(sys.argv[1:]))
"""


def tar_gz(members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, None if isinstance(content, str) else io.BytesIO(content))
    return packed.getvalue()


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def image_file(mode, size, colour, kind):
    packed = io.BytesIO()
    Image.new(mode, size, colour).save(packed, kind)
    return packed.getvalue()


def cifar10():
    records = b"".join(bytes([label]) + bytes(3072) for label in range(10)) * 4
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin", "readme.html"]
    return {"cifar-10-binary.tar.gz": tar_gz([(f"cifar-10-batches-bin/{name}", records) for name in names])}


def tiny_imagenet():
    top, labels, members = "tiny-imagenet-200", "", []
    for c, wnid in enumerate(("n01443537", "n01629819")):
        jpeg = image_file("RGB", (64, 64), (100 * c, 50, 50), "JPEG")
        members += [(f"{top}/train/{wnid}/images/{wnid}_{i}.JPEG", jpeg) for i in range(4)]
        members += [(f"{top}/train/{wnid}/{wnid}_boxes.txt", b"")]
        members += [(f"{top}/val/images/val_{c}.JPEG", jpeg), (f"{top}/test/images/test_{c}.JPEG", jpeg)]
        labels += f"val_{c}.JPEG\t{wnid}\t0\t0\t63\t63\n"
    return {"tiny-imagenet-200.zip": zipped([(f"{top}/val/val_annotations.txt", labels), *members])}


def oxford_iiit_pets():
    trimap = Image.new("L", (70, 80))
    trimap.putdata([1 + (i % 3) for i in range(70 * 80)])
    mask = io.BytesIO()
    trimap.save(mask, "PNG")
    jpeg, gif = image_file("RGB", (70, 80), (200, 90, 10), "JPEG"), image_file("P", (70, 80), 3, "GIF")
    train = [f"Abyssinian_{i}" for i in range(1, 6)]
    test = ["great_pyrenees_7"]
    lists = [("annotations/trainval.txt", "".join(f"{n} 1 1 1\n" for n in train).encode()),
             ("annotations/test.txt", f"{test[0]} 2 2 1\n".encode()), ("annotations/README", b"")]
    masks = [(f"annotations/trimaps/{n}.png", mask.getvalue()) for n in train + test]
    litter = [("annotations/trimaps/._Abyssinian_1.png", b"litter"), ("annotations/xmls/Abyssinian_1.xml", b"")]
    images = [(f"images/{n}.jpg", gif if n == "Abyssinian_5" else jpeg) for n in [*train, *test, "Abyssinian_99"]]
    return {"images.tar.gz": tar_gz(images), "annotations.tar.gz": tar_gz(litter + masks + lists)}


def tiny_shakespeare():
    return {"input.txt": b"First Citizen:\nBefore we proceed any further, hear me speak.\n" * 200}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Stalling(Quiet):
    """Sends half of the announced bytes, then stalls."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"x" * 500000)
        self.wfile.flush()
        self.server.released.wait(30)


@contextlib.contextmanager
def serving(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.released = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


class Data(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name, "clone")
        self.served = pathlib.Path(folder.name, "served")
        self.folder.mkdir()
        self.served.mkdir()
        self.most_bytes = 1 << 20
        self.stand_ins = {}
        self.address = self.enterContext(serving(functools.partial(Quiet, directory=self.served)))

    def serve(self, name, files, address=None):
        for file, content in files.items():
            (self.served / file).write_bytes(content)
        self.stand_ins[name] = [(f"{address or self.address}/{file}", len(content), hashlib.sha256(content).hexdigest())
                                for file, content in files.items()]

    def environment(self, **more):
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return clean | {"STAND_INS": json.dumps(self.stand_ins), "MOST_BYTES": str(self.most_bytes)} | more

    def get(self, name, **environment):
        return subprocess.run([sys.executable, "-c", WITH_STAND_INS, name], cwd=self.folder, capture_output=True, text=True,
                              env=self.environment(**environment))

    def files(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def trainyard(self, *arguments):
        if not (self.folder / "configs").exists():
            (self.folder / "configs").symlink_to(ROOT / "configs")
        done = subprocess.run([TRAINYARD, *arguments], cwd=self.folder, capture_output=True, text=True,
                              env=os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache")})
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def lays_out(self, name, config):
        """Fetches a dataset. Every sample must be readable, and its configuration must be able to take a step."""
        done = self.get(name)
        self.assertEqual(done.returncode, 0, done.stderr)
        for _, _, sha256 in self.stand_ins[name]:
            self.assertIn(f"SHA-256 {sha256}, as published", done.stdout)
        self.assertIn(f"--config configs/{config}", done.stdout)
        self.trainyard("data", "--config", f"configs/{config}", "--loader.workers", "0")
        self.trainyard("train", "--config", f"configs/{config}", "--train.dry_run", "--train.device", "cpu",
                       "--train.precision", "fp32", "--loader.batch_size", "2", "--loader.workers", "0")

    def test_cifar10_is_laid_out_and_trained_on(self):
        self.serve("cifar10", cifar10())
        self.lays_out("cifar10", "cifar10_resnet18.toml")
        self.assertIn("data/cifar10/test_batch.bin", self.files())

    def test_tiny_imagenet_is_laid_out_and_trained_on(self):
        self.serve("tiny_imagenet", tiny_imagenet())
        self.lays_out("tiny_imagenet", "tiny_imagenet_resnet18.toml")
        self.assertIn("data/tiny_imagenet/val/n01629819/val_1.JPEG", self.files())
        self.assertIn("data/tiny_imagenet/train/n01443537/n01443537_3.JPEG", self.files())

    def test_pets_are_laid_out_with_renumbered_masks_and_trained_on(self):
        self.serve("oxford_iiit_pets", oxford_iiit_pets())
        self.lays_out("oxford_iiit_pets", "oxford_iiit_pets.toml")
        pets = "data/oxford_iiit_pets"
        self.assertEqual([file for file in self.files() if file.startswith(f"{pets}/train/images")],
                         [f"{pets}/train/images/Abyssinian_{i}.{'png' if i == 5 else 'jpg'}" for i in range(1, 6)])
        mask = self.folder / pets / "test/masks/great_pyrenees_7.png"
        numbers = subprocess.run([sys.executable, "-c", "import sys; from PIL import Image; print(*Image.open(sys.argv[1]).tobytes()[:6])",
                                  mask], capture_output=True, text=True).stdout
        self.assertEqual(numbers.split(), ["1", "0", "255"] * 2)

    def test_tiny_shakespeare_is_laid_out_and_trained_on(self):
        self.serve("tiny_shakespeare", tiny_shakespeare())
        self.lays_out("tiny_shakespeare", "tiny_shakespeare_gpt.toml")

    def test_a_second_fetch_changes_nothing(self):
        self.serve("tiny_shakespeare", tiny_shakespeare())
        self.assertEqual(self.get("tiny_shakespeare").returncode, 0)
        (self.served / "input.txt").unlink()
        done = self.get("tiny_shakespeare")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is there; remove it to fetch it again", done.stdout)

    def fails_and_keeps_nothing(self, name, *texts, **environment):
        before = self.files()
        done = self.get(name, **environment)
        self.assertEqual(done.returncode, 1, done.stdout)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(self.files(), before)
        self.assertFalse((self.folder / "data" / f".{name}.new").exists())

    def test_altered_file_is_refused(self):
        self.serve("tiny_shakespeare", tiny_shakespeare())
        altered = b"f" + (self.served / "input.txt").read_bytes()[1:]
        (self.served / "input.txt").write_bytes(altered)
        self.fails_and_keeps_nothing("tiny_shakespeare", hashlib.sha256(altered).hexdigest(),
                                     self.stand_ins["tiny_shakespeare"][0][2])

    def test_file_that_is_cut_short_or_goes_on_is_refused(self):
        self.serve("tiny_shakespeare", tiny_shakespeare())
        whole = (self.served / "input.txt").read_bytes()
        for served in (whole[:-1], whole + b"\n"):
            (self.served / "input.txt").write_bytes(served)
            self.fails_and_keeps_nothing("tiny_shakespeare", f"has {len(served)} bytes, expected {len(whole)}")

    def test_without_a_network_the_error_says_what_to_put_where(self):
        self.serve("tiny_shakespeare", tiny_shakespeare(), "http://127.0.0.1:9")
        (address, size, sha256), = self.stand_ins["tiny_shakespeare"]
        self.fails_and_keeps_nothing("tiny_shakespeare", f"[data] {address}: ", "refused",
                                     f"put input.txt ({size} bytes, SHA-256 {sha256}) into data/downloads/tiny_shakespeare",
                                     "TRAINYARD_MIRROR")

    def test_missing_file_of_the_server_is_named(self):
        self.serve("tiny_shakespeare", tiny_shakespeare())
        (self.served / "input.txt").unlink()
        self.fails_and_keeps_nothing("tiny_shakespeare", f"{self.address}/input.txt: HTTP Error 404")

    def test_file_put_there_by_hand_is_taken(self):
        self.serve("tiny_shakespeare", tiny_shakespeare(), "http://127.0.0.1:9")
        shelf = self.folder / "data/downloads/tiny_shakespeare"
        shelf.mkdir(parents=True)
        (shelf / "input.txt").write_bytes(b"other")
        self.fails_and_keeps_nothing("tiny_shakespeare", "data/downloads/tiny_shakespeare/input.txt: has 5 bytes")
        (shelf / "input.txt").write_bytes(tiny_shakespeare()["input.txt"])
        done = self.get("tiny_shakespeare")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.files(), ["data/downloads/tiny_shakespeare/input.txt", "data/tiny_shakespeare/input.txt"])

    def test_mirror_is_asked_instead(self):
        self.serve("tiny_shakespeare", tiny_shakespeare(), "http://127.0.0.1:9")
        (self.served / "tiny_shakespeare").mkdir()
        (self.served / "input.txt").rename(self.served / "tiny_shakespeare/input.txt")
        done = self.get("tiny_shakespeare", TRAINYARD_MIRROR=f"{self.address}/")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_names_of_an_archive_do_not_lead_out_of_the_folder(self):
        (archive,) = cifar10()
        outside = self.folder / "outside.bin"
        top = "cifar-10-batches-bin"
        hostile = [(f"{top}/../../../../outside.bin", b"x"), (str(outside), b"x"), (f"{top}/data_batch_1.bin", str(outside)),
                   ("../outside.bin", b"x"), (f"{top}/../data_batch_2.bin", b"x")]
        self.serve("cifar10", {archive: tar_gz(hostile)})
        self.fails_and_keeps_nothing("cifar10", "has 0 of 6 batches")

    def test_archive_that_has_a_file_twice_is_refused(self):
        self.serve("cifar10", {"cifar-10-binary.tar.gz": tar_gz([("cifar-10-batches-bin/test_batch.bin", b"x")] * 2)})
        self.fails_and_keeps_nothing("cifar10", "test_batch.bin twice")

    def test_archive_that_unpacks_to_too_much_is_refused(self):
        self.serve("cifar10", cifar10())
        self.most_bytes = 200_000
        self.fails_and_keeps_nothing("cifar10", "unpacks to more than 200000 bytes")

    def test_file_that_is_no_archive_is_refused(self):
        for name, file in (("cifar10", "cifar-10-binary.tar.gz"), ("tiny_imagenet", "tiny-imagenet-200.zip")):
            for content in (b"<html>", tar_gz([("a", b"x" * 5000)])[:60]):
                self.serve(name, {file: content})
                self.fails_and_keeps_nothing(name, "cannot be unpacked")

    def test_interrupted_download_leaves_nothing(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with serving(Stalling) as address:
                self.stand_ins["tiny_shakespeare"] = [(f"{address}/input.txt", 1000000, "0" * 64)]
                running = subprocess.Popen([sys.executable, "-c", WITH_STAND_INS, "tiny_shakespeare"], cwd=self.folder,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                           env=self.environment())
                begun = self.folder / "data/.tiny_shakespeare.new/input.txt"
                while not begun.exists() and running.poll() is None:
                    time.sleep(0.01)
                running.send_signal(number)
                _, error = running.communicate(timeout=600)
            self.assertEqual(running.returncode, code, error)
            self.assertEqual(self.files(), [])

    def test_what_a_killed_fetch_left_is_removed(self):
        self.serve("tiny_shakespeare", tiny_shakespeare())
        left = self.folder / "data/.tiny_shakespeare.new/laid_out/half"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
        self.assertEqual(self.get("tiny_shakespeare").returncode, 0)
        self.assertEqual(self.files(), ["data/tiny_shakespeare/input.txt"])

    def test_unknown_name_lists_the_known_ones(self):
        for arguments in ([], [""], ["cifar11"]):
            done = subprocess.run([SCRIPT, *arguments], cwd=self.folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            for name in ("cifar10", "tiny_imagenet", "oxford_iiit_pets", "tiny_shakespeare"):
                self.assertIn(f"\n  {name} ", done.stderr)


if __name__ == "__main__":
    TRAINYARD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
