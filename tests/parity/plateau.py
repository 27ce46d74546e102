"""Follows the results of plateau_test.cpp with PyTorch's ReduceLROnPlateau.

usage: plateau.py FOLDER
FOLDER/cases.json is a list of objects with a name, options and the results of the epochs, null for NaN. Writes
FOLDER/rates.json: by name, the learning rate during each epoch.
"""

import json
import math
import sys

import torch


def rates(o):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=o["lr"])
    names = ("mode", "factor", "patience", "threshold", "min_lr")
    # eps: the smallest reduction that PyTorch makes.
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0, **{name: o[name] for name in names})
    result = []
    for value in o["results"]:
        result.append(optimizer.param_groups[0]["lr"])
        schedule.step(math.nan if value is None else value)
    return result


def main():
    folder = sys.argv[1]
    with open(f"{folder}/cases.json") as file:
        cases = json.load(file)
    with open(f"{folder}/rates.json", "w") as file:
        json.dump({case["name"]: rates(case) for case in cases}, file)


main()
