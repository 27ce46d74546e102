"""Shared by the scripts that train for a comparison."""

import json
import sys

import safetensors_io
import torch


def train_all(train):
    """Calls train(case, tensors, dtype) for each case of FOLDER/cases.json, in float32 and in float64, and saves the
    results as FOLDER/<name>.float32.safetensors and .float64.safetensors. FOLDER is the script's argument."""
    folder = sys.argv[1]
    with open(f"{folder}/cases.json") as file:
        cases = json.load(file)
    for case in cases:
        path = f"{folder}/{case['name']}"
        tensors = safetensors_io.load(path + ".safetensors")
        for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
            safetensors_io.save(f"{path}.{name}.safetensors", train(case, tensors, dtype))
