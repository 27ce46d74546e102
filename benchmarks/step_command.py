"""The command that measures Trainyard's training step in turns with other programs: `trainyard bench step --turns`.

It reads numbers of steps from standard input, one per line, and answers each with the mean seconds per step.
"""

import array
import pathlib
import random


def write_tokens(folder, context, vocabulary):
    """Writes splits of random tokens, of one sample each, as the dataset `tokens` reads them."""
    tokens = array.array("H", (random.randrange(vocabulary) for _ in range(context + 1)))
    for split in ("train", "val"):
        pathlib.Path(folder, f"{split}.bin").write_bytes(tokens.tobytes())


def step_flags(device, precision, model, size, channels, batch, threads, folder=None):
    """Returns the settings as flags. `batch` is the number of samples over all ranks, of random images of 10 classes.

    For the model gpt2, samples have `size` random tokens of a vocabulary of `channels`, and `folder` is one that
    write_tokens() has filled; it is read before the first answer.
    """
    settings = {
        "data.name": "synthetic",
        "data.synthetic.shape": f"{size},{size},{channels}",
        "model.name": model,
        "loader.batch_size": batch,
        "train.device": device,
        "train.precision": precision,
        "train.threads": threads,
        "distributed.timeout": 600,
    }
    if model.startswith("vit"):
        settings["model.vit.patch_size"] = 8
    if model.startswith("resnet") and int(size) <= 64:
        settings["model.resnet.stem"] = "small"
    if model.startswith("efficientnet"):
        settings["model.efficientnet.stride"] = 1 if int(size) <= 64 else 2
        settings["model.efficientnet.dropout"] = 0
    if model == "gpt2":
        del settings["data.synthetic.shape"]
        settings |= {
            "task.name": "language_model",
            "data.name": "tokens",
            "data.root": folder,
            "data.tokens.context": size,
            "data.tokens.vocabulary": channels,
            "optimizer.name": "adamw",
            "optimizer.adamw.beta2": 0.95,
            "optimizer.weight_decay": 0.1,
            "optimizer.decay_bias_norm": "false",
        }
    return [word for key, value in settings.items() for word in (f"--{key}", str(value))]


def step_command(program, *measured):
    """`measured` are the arguments of step_flags()."""
    return [*program.split(), "bench", "step", "--turns", *step_flags(*measured)]
