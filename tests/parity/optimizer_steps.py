"""Takes the optimizer steps of optimizer_test.cpp with PyTorch, on the same gradients.

usage: optimizer_steps.py FOLDER
FOLDER/cases.json is a list of objects with a name and options. FOLDER/input.safetensors holds "weight.<name>" and
"gradient.<step>.<name>". Writes "weight.<name>" after the last step to FOLDER/<case>.float32.safetensors and
.float64.safetensors.
"""

import json
import sys

import optimizers
import safetensors_io
import torch
from torch import nn


def take_steps(o, tensors, dtype):
    weights = {
        name.removeprefix("weight."): nn.Parameter(tensor.to(dtype, copy=True))
        for name, tensor in tensors.items()
        if name.startswith("weight.")
    }
    optimizer = optimizers.make(weights.items(), o)
    for step in range(o["steps"]):
        for name, weight in weights.items():
            weight.grad = tensors[f"gradient.{step}.{name}"].to(dtype)
        optimizer.step()
    return {"weight." + name: weight for name, weight in weights.items()}


def main():
    folder = sys.argv[1]
    with open(f"{folder}/cases.json") as file:
        cases = json.load(file)
    tensors = safetensors_io.load(f"{folder}/input.safetensors")
    for case in cases:
        for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
            safetensors_io.save(f"{folder}/{case['name']}.{name}.safetensors", take_steps(case, tensors, dtype))


main()
