"""Tests the grammar of `scripts/sweep --space`."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/sweep.d"))

import space  # noqa: E402


class Recorder:
    """Replaces a trial of Optuna: returns each request."""

    def __getattr__(self, name):
        return lambda *arguments, **named: (name, *arguments, *named.items())


class SpaceGrammar(unittest.TestCase):
    def test_reads_ranges_and_choices(self):
        for text, asked in {
            "optimizer.lr=log:1e-4..1": ("suggest_float", "optimizer.lr", 1e-4, 1.0, ("log", True)),
            "a.b=-0.5..2": ("suggest_float", "a.b", -0.5, 2.0, ("log", False)),
            "model.mlp.depth=int:1..4": ("suggest_int", "model.mlp.depth", 1, 4),
            "train.seed=0,1,2": ("suggest_categorical", "train.seed", ("0", "1", "2")),
            "a.path=../x,../y": ("suggest_categorical", "a.path", ("../x", "../y")),
        }.items():
            with self.subTest(text):
                self.assertEqual(space.parse(text).suggest(Recorder()), asked)

    def test_names_the_space_and_what_is_allowed(self):
        for text, reason in {
            "optimizer.lr": space.GRAMMAR,
            "lr=0..1": space.GRAMMAR,
            "a.b=": space.GRAMMAR,
            "a.b=sgd": "'sgd' is neither a range nor several choices",
            "a.b=x..1": "must be numbers",
            "a.b=int:0.5..1": "must be whole numbers",
            "a.b=1..1": "its first end below its second",
            "a.b=2..1": "its first end below its second",
            "a.b=0..inf": "must be finite",
            "a.b=nan..1": "must be finite",
            "a.b=log:0..1": "starts above 0, not at 0.0",
            "a.b=1,1": "must be different",
            "a.b=1,,2": "not empty",
        }.items():
            with self.subTest(text), self.assertRaises(ValueError) as raised:
                space.parse(text)
            self.assertIn(f"--space {text}: ", str(raised.exception))
            self.assertIn(reason, str(raised.exception))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
