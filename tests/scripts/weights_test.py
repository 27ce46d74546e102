"""Tests scripts/weights with a server that replaces torchvision's and Hugging Face's.

usage: weights-python weights_test.py TRAINYARD
scripts/bootstrap weights installs weights-python. TRAINYARD loads the results by name.
"""

import contextlib
import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ["HF_HUB_DISABLE_XET"] = "1"

import safetensors.torch
import timm
import torch
import torchvision

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINYARD = ""
REVISION = "607a30d783dfa663caf39e06633721c8d4cfcd7e"

def publish(folder):
    """Writes files as the projects publish them, with random weights."""
    torch.manual_seed(1)
    net = torchvision.models.resnet18()
    torch.save(net.state_dict(), f"{folder}/resnet18.pth")
    torch.save({k: v for k, v in net.state_dict().items() if "num_batches" not in k}, f"{folder}/old.pth")
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, f"{folder}/run.pt")
    torch.save(net, f"{folder}/whole.pt")
    for name in ("vit_tiny_patch16_224", "convnext_atto", "convnext_atto_ols"):
        net = timm.create_model(name)
        safetensors.torch.save_file(net.state_dict(), f"{folder}/{name}.safetensors", {"format": "pt"})
    safetensors.torch.save_file({"wte.weight": torch.randn(7, 5)}, f"{folder}/gpt2.safetensors", {"format": "pt"})


class Server(http.server.BaseHTTPRequestHandler):
    """Serves a folder's files at /torchvision/, and a hub with the repositories in server.repositories."""

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, with_body):
        path, repositories = self.path.split("?")[0], self.server.repositories
        headers = {}
        if path.startswith("/torchvision/stalls-"):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 500000)
            self.wfile.flush()
            self.server.released.wait(60)
            return
        if path.startswith("/torchvision/") and path in self.server.files:
            body = self.server.files[path]
        elif (name := path.removeprefix("/api/models/").removesuffix(f"/revision/{REVISION}")) in repositories:
            content, published = repositories[name]
            lfs = {"sha256": published, "size": len(content), "pointerSize": 134}
            file = {"rfilename": "model.safetensors", "size": len(content), "blobId": "1", "lfs": lfs}
            body = json.dumps({"id": name, "sha": REVISION, "siblings": [file]}).encode()
            headers["Content-Type"] = "application/json"
        elif (name := path.removeprefix("/").removesuffix(f"/resolve/{REVISION}/model.safetensors")) in repositories:
            body = repositories[name][0]
            headers |= {"ETag": f'"{repositories[name][1]}"', "X-Repo-Commit": REVISION}
        else:
            self.send_error(404)
            return
        self.send_response(200)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    server.files, server.repositories, server.released = {}, {}, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Weights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        publish(folder.name)
        cls.published = {path.name: path.read_bytes() for path in pathlib.Path(folder.name).iterdir()}
        loader = importlib.machinery.SourceFileLoader("weights", str(ROOT / "scripts/weights"))
        cls.script = importlib.util.module_from_spec(importlib.util.spec_from_loader("weights", loader))
        loader.exec_module(cls.script)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.enterContext(contextlib.chdir(self.folder))
        self.server = self.enterContext(serving())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.serve_resnet18(self.published["resnet18.pth"])

    def serve_resnet18(self, content, checksum=None):
        self.resnet18 = f"resnet18-{(checksum or sha256(content))[:8]}.pth"
        self.server.files[f"/torchvision/{self.resnet18}"] = content

    def serve_timm(self, name, tag):
        content = self.published[f"{name}.safetensors"]
        self.server.repositories[f"timm/{name}.{tag}"] = (content, sha256(content))
        return content

    def weights(self, *arguments, address=None):
        """Runs the script in this process, because importing torch takes seconds."""
        address = address or self.address
        output, error = io.StringIO(), io.StringIO()
        published = torchvision.models.ResNet18_Weights.DEFAULT.value
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(published, "url", f"{address}/torchvision/{self.resnet18}"))
            stack.enter_context(mock.patch("huggingface_hub.constants.ENDPOINT", address))
            stack.enter_context(mock.patch("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
                                           address + "/{repo_id}/resolve/{revision}/{filename}"))
            stack.enter_context(contextlib.redirect_stdout(output))
            stack.enter_context(contextlib.redirect_stderr(error))
            code = self.script.main(list(arguments))
        return subprocess.CompletedProcess(arguments, code, output.getvalue(), error.getvalue())

    def makes(self, name, *arguments):
        """Expects success and returns the record."""
        done = self.weights(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"--model.weights {name}\n", done.stdout)
        self.assertTrue((self.folder / f"data/weights/{name}.safetensors").exists())
        self.assertEqual({path.name for path in (self.folder / "data/weights").iterdir()},
                         {f"{name}.safetensors", f"{name}.txt"})
        return (self.folder / f"data/weights/{name}.txt").read_text()

    def fails(self, *arguments, texts, address=None):
        done = self.weights(*arguments, address=address)
        self.assertEqual(done.returncode, 1, done.stdout)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertFalse((self.folder / "data/weights").exists())

    def train_on_images(self, model, weights, side):
        return subprocess.run([TRAINYARD, "train", "--model.name", model, "--model.weights", weights, "--train.device", "cpu",
                               "--train.precision", "fp32", "--train.threads", "1", "--train.fast_dev_run",
                               "--loader.batch_size", "2", "--loader.workers", "0", "--data.name", "synthetic",
                               "--data.synthetic.shape", f"{side},{side},3", "--data.synthetic.classes", "10",
                               "--data.synthetic.samples", "20", "--model.reset_head", "true"],
                              cwd=self.folder, capture_output=True, text=True)

    def trains_on_images(self, model, weights, side):
        done = self.train_on_images(model, weights, side)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])

    def test_torchvision(self):
        record = self.makes("resnet18", "resnet18")
        content = self.published["resnet18.pth"]
        self.assertIn(f"SHA-256 {sha256(content)} of that file begins with {sha256(content)[:8]}, as published", record)
        self.trains_on_images("resnet18", "resnet18", 32)

    def test_timm(self):
        content = self.serve_timm("vit_tiny_patch16_224", "augreg_in21k_ft_in1k")
        record = self.makes("vit_tiny", "vit_tiny")
        self.assertIn(f"revision {REVISION}", record)
        self.assertIn(f"SHA-256 {sha256(content)}, as published there", record)
        self.trains_on_images("vit_tiny", "vit_tiny", 96)

    def test_timms_convnext(self):
        self.serve_timm("convnext_atto", "d2_in1k")
        self.makes("convnext_atto", "convnext_atto")
        self.trains_on_images("convnext_atto", "convnext_atto", 32)

    def test_timms_convnext_of_another_architecture_does_not_load(self):
        self.serve_timm("convnext_atto_ols", "a2_in1k")
        self.weights("convnext_atto_ols")
        done = self.train_on_images("convnext_atto", "convnext_atto_ols", 32)
        self.assertEqual(done.returncode, 1, done.stdout[-2000:])
        self.assertIn("they are the weights of a ConvNeXt with an overlapping stem", done.stderr)

    def test_hugging_face(self):
        content = self.published["gpt2.safetensors"]
        self.server.repositories["openai-community/gpt2"] = (content, sha256(content))
        self.makes("gpt2", "gpt2")
        self.assertEqual((self.folder / "data/weights/gpt2.safetensors").read_bytes(), content)

    def test_altered_files_are_refused(self):
        self.serve_resnet18(self.published["resnet18.pth"][:-1] + b"x", sha256(self.published["resnet18.pth"]))
        self.fails("resnet18", texts=["invalid hash value", "data/downloads/weights"])
        content = self.published["gpt2.safetensors"]
        self.server.repositories["openai-community/gpt2"] = (content[:-1] + b"x", sha256(content))
        self.fails("gpt2", texts=[f"expected {sha256(content)}"])

    def test_file_that_is_more_than_tensors_is_not_unpickled_even_with_the_right_checksum(self):
        self.serve_resnet18(self.published["whole.pt"])
        self.fails("resnet18", texts=["Weights only load failed"])

    def test_without_a_network_the_error_says_what_to_put_where(self):
        nowhere = "http://127.0.0.1:9"
        begin = self.resnet18[9:17]
        self.fails("resnet18", address=nowhere,
                   texts=[f"{nowhere}/torchvision/{self.resnet18}", "refused",
                          f"put {self.resnet18}, whose SHA-256 begins with {begin}, into data/downloads/weights"])
        self.fails("gpt2", address=nowhere,
                   texts=[f"{nowhere}/openai-community/gpt2/resolve/main/model.safetensors", "refused",
                          "make weights NAME=gpt2 FILE=model.safetensors"])

    def test_file_put_there_by_hand_is_taken(self):
        shelf = self.folder / "data/downloads/weights" / self.resnet18
        shelf.parent.mkdir(parents=True)
        shelf.write_bytes(b"other")
        self.fails("resnet18", address="http://127.0.0.1:9", texts=[f"expected one that begins with {self.resnet18[9:17]}"])
        shelf.write_bytes(self.published["resnet18.pth"])
        done = self.weights("resnet18", address="http://127.0.0.1:9")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_interrupted_download_leaves_nothing(self):
        begin = f"""
import runpy, sys, torchvision
torchvision.models.ResNet18_Weights.DEFAULT.value.url = "{self.address}/torchvision/stalls-00000000.pth"
sys.argv = ["weights", "resnet18"]
runpy.run_path({self.script.__file__!r}, run_name="__main__")
"""
        running = subprocess.Popen([sys.executable, "-c", begin], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        weights = self.folder / "data/weights"
        while not list(weights.glob(".resnet18.*/hub/checkpoints/*.partial")) and running.poll() is None:
            time.sleep(0.01)
        running.terminate()
        _, error = running.communicate(timeout=600)
        self.assertEqual(running.returncode, 143, error)
        self.assertFalse(weights.exists())

    def test_another_python_says_what_to_run_and_leaves_nothing(self):
        (self.folder / "mine.pth").touch()
        for arguments, command in (["resnet18"], "make weights NAME=resnet18"), (["a", "mine.pth"], "NAME=a FILE=mine.pth`"):
            done = subprocess.run([sys.executable, "-I", "-S", self.script.__file__, *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn("No module named '", done.stderr)
            self.assertIn(command, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertFalse((self.folder / "data").exists())

    def converts(self, file, name, *arguments):
        (self.folder / file).write_bytes(self.published[file])
        return self.makes(name, *arguments, str(self.folder / file))

    def test_pth_file_is_converted(self):
        self.assertIn("was compared with nothing", self.converts("resnet18.pth", "resnet18", ""))
        self.trains_on_images("resnet18", "resnet18", 32)

    def test_state_dict_inside_a_checkpoint_is_converted_under_another_name(self):
        self.converts("run.pt", "mine", "mine")
        self.trains_on_images("resnet18", "mine", 32)

    def test_state_dict_without_the_counts_of_batch_norms_is_converted(self):
        self.converts("old.pth", "old", "")
        self.trains_on_images("resnet18", "old", 32)

    def test_safetensors_file_fetched_by_hand_is_taken(self):
        (self.folder / "model.safetensors").write_bytes(self.published["gpt2.safetensors"])
        self.makes("gpt2", "gpt2", "model.safetensors")

    def test_files_that_hold_other_things_are_refused(self):
        contents = {"whole.pt": self.published["whole.pt"], "cut.pth": self.published["resnet18.pth"][:1000],
                    "page.pth": b"<html>", "cut.safetensors": self.published["gpt2.safetensors"][:100],
                    "resnet18-00000000.pth": self.published["resnet18.pth"]}
        texts = {"whole.pt": "holds torchvision.models.resnet.ResNet, and is not read",
                 "resnet18-00000000.pth": "by its name begins with 00000000"}
        for file, content in contents.items():
            with self.subTest(file):
                (self.folder / file).write_bytes(content)
                self.fails("", file, texts=[f"[weights] {file}: ", texts.get(file, "")])
        self.fails("", "nowhere.pth", texts=["there is no file nowhere.pth"])

    def test_unknown_names_are_refused(self):
        self.fails("resnet19", texts=["'resnet19' is no model of torchvision or timm"])
        self.fails("vit_tiny_patch16_224.other", texts=["Invalid pretrained tag"])
        for name in ("../evil", "a/b/c", ""):
            done = self.weights(name)
            self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    TRAINYARD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
