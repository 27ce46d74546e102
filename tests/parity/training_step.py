"""The training step that training_step_test.cpp takes, taken by PyTorch.

usage: training_step.py INPUT OUTPUT OPTIONS
INPUT holds "model.<name>" (initial weights), "images" (N×28×28×1, uint8) and "labels" (N); OPTIONS is a JSON object.
OUTPUT gets "model.<name>" after the steps and "losses".
"""

import json
import sys

import safetensors_io
import torch
from torch import nn


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(48)
        self.conv3 = nn.Conv2d(48, 96, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(96)
        self.fc = nn.Linear(96, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(nn.functional.max_pool2d(self.conv1(x), 2)))
        x = torch.relu(self.bn2(nn.functional.max_pool2d(self.conv2(x), 2)))
        x = torch.relu(self.bn3(self.conv3(x)))
        return self.fc(x.mean((2, 3)))


def make_optimizer(parameters, options):
    common = {"lr": options["lr"], "weight_decay": options["weight_decay"]}
    if options["optimizer"] == "sgd":
        return torch.optim.SGD(parameters, momentum=options["momentum"], nesterov=options["nesterov"], **common)
    return torch.optim.AdamW(parameters, betas=(0.9, 0.999), eps=options["eps"], **common)


def main():
    source, target, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    tensors = safetensors_io.load(source)
    net = ConvNet()
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    net.load_state_dict(weights, strict=True)
    optimizer = make_optimizer(net.parameters(), options)

    images = (tensors["images"].permute(0, 3, 1, 2).float() / 255 - options["mean"]) / options["std"]
    losses = []
    for _ in range(options["steps"]):
        optimizer.zero_grad()
        logits = net(images)
        loss = nn.functional.cross_entropy(logits, tensors["labels"], label_smoothing=options["label_smoothing"])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    result = {"model." + name: tensor for name, tensor in net.state_dict().items()}
    result["losses"] = torch.tensor(losses, dtype=torch.float64)
    safetensors_io.save(target, result)


main()
