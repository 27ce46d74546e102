"""The values that a setting may have in a sweep, as written after --space."""

import dataclasses
import re

GRAMMAR = "KEY=A..B, KEY=log:A..B, KEY=int:A..B or KEY=A,B,C"


@dataclasses.dataclass(frozen=True)
class Space:
    """A range from low to high, both inclusive, or a list of choices."""

    text: str  # as written by the user
    key: str
    kind: str  # float, log, int or choices
    low: float = 0
    high: float = 0
    choices: tuple = ()

    def suggest(self, trial):
        """Returns the value that an Optuna trial chooses."""
        if self.kind == "choices":
            return trial.suggest_categorical(self.key, self.choices)
        if self.kind == "int":
            return trial.suggest_int(self.key, self.low, self.high)
        return trial.suggest_float(self.key, self.low, self.high, log=self.kind == "log")

    def examples(self):
        """Returns all choices, or both ends of the range."""
        return self.choices or (self.low, self.high)


def parse(text):
    """Parses a --space. Raises ValueError with the text and what is allowed."""

    def refuse(problem):
        raise ValueError(f"--space {text}: {problem}")

    key, equals, values = text.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)+", key):
        refuse(f"expected a setting and its values: {GRAMMAR}")
    if "," in values:
        choices = tuple(values.split(","))
        if "" in choices or len(set(choices)) < len(choices):
            refuse("the choices must be different and not empty")
        return Space(text, key, "choices", choices=choices)
    found = re.fullmatch(r"(?:(log|int):)?(.+?)\.\.(.+)", values)
    if not found:
        refuse(f"'{values}' is neither a range nor several choices: {GRAMMAR}")
    kind = found[1] or "float"
    number = int if kind == "int" else float
    try:
        low, high = number(found[2]), number(found[3])
    except ValueError:
        refuse(f"both ends of the range must be {'whole numbers' if kind == 'int' else 'numbers'}")
    if not -float("inf") < low < high < float("inf"):
        refuse(f"the range must be finite, its first end below its second: {low}..{high}")
    if kind == "log" and low <= 0:
        refuse(f"a logarithmic range starts above 0, not at {low}")
    return Space(text, key, kind, low, high)
