"""Tests benchmarks/step_command.py: its flags are settings and determine what is measured."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from step_command import step_command


def flags(*arguments):
    words = step_command("build/trainyard", "cuda", "bf16", *arguments)
    assert words[:4] == ["build/trainyard", "bench", "step", "--turns"], words
    return dict(zip(words[4::2], words[5::2], strict=True))


class StepCommand(unittest.TestCase):
    def test_measures_the_model_on_synthetic_images(self):
        given = flags("resnet50", 224, 3, 512, 8)
        self.assertEqual(given["--data.synthetic.shape"], "224,224,3")
        self.assertEqual(given["--loader.batch_size"], "512")
        self.assertEqual(given["--train.threads"], "8")
        self.assertNotIn("--model.resnet.stem", given)

    def test_adapts_models_to_small_images(self):
        self.assertEqual(flags("resnet18", 32, 3, 512, 2)["--model.resnet.stem"], "small")
        self.assertEqual(flags("vit_small", 32, 3, 512, 2)["--model.vit.patch_size"], "8")

    def test_uses_settings_that_exist(self):
        sections = (ROOT / "docs/settings.md").read_text().split("\n## ")[1:]
        keys = {f"--{part.split()[0]}.{name}" for part in sections for name in re.findall(r"^\| `(\w+)`", part, re.MULTILINE)}
        for model in ("resnet18", "vit_small"):
            self.assertLessEqual(set(flags(model, 32, 3, 512, 2)), keys)
        self.assertLessEqual(set(flags("gpt2", 1024, 50257, 8, 2, "/tmp/tokens")), keys)


if __name__ == "__main__":
    unittest.main()
