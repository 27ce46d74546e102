"""Takes the training steps of model_steps_test.cpp with PyTorch.

usage: model_steps.py FOLDER
FOLDER/cases.json is a list of objects with a name and options. FOLDER/<name>.safetensors holds "model.<name>" (initial
weights), "input" (images N×C×H×W, float; tokens N×T; or numeric values N×M of a table, together with "categories" N×K)
and "targets" (a class per pixel, token or row).
Writes to FOLDER/<name>.float32.safetensors "logits" (all outputs, one after the other) and "gradient.<name>" of the
first step, and "losses" and "model.<name>" after the last, with float32 weights and the case's precision; to
FOLDER/<name>.float64.safetensors the same with everything in float64.
"""

import cases
import optimizers
import reference_nets
import torch
from torch.nn import functional as F


def loss_of(outputs, targets, dtype):
    """Returns the cross-entropy of the logits, plus 0.4 times that of an auxiliary head."""
    loss = 0
    for name, scores in outputs.items():
        scores = scores.to(dtype)
        if scores.ndim == 3:
            scores = scores.transpose(1, 2)
        loss = loss + (0.4 if name == "aux" else 1.0) * F.cross_entropy(scores, targets)
    return loss


def train(o, tensors, dtype):
    net = reference_nets.make_with_outputs(o)
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    net.load_state_dict(weights, strict=True)
    device = torch.device(o["device"])
    net.to(device, dtype)
    data = [tensors[name].to(device) for name in ("input", "categories") if name in tensors]
    data = [one.to(dtype) if one.is_floating_point() else one for one in data]
    targets = tensors["targets"].to(device)
    autocast = {"bf16": torch.bfloat16}.get(o["precision"]) if dtype == torch.float32 else None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o["precision"] != "fp32"

    optimizer = optimizers.make(net.named_parameters(), o)
    result, losses = {}, []
    for step in range(o["steps"]):
        optimizer.zero_grad()
        with torch.autocast(device.type, autocast, enabled=autocast is not None):
            outputs = net(*data)
        loss = loss_of(outputs, targets, dtype)
        loss.backward()
        if step == 0:
            result["logits"] = torch.cat([scores.to(dtype).flatten() for scores in outputs.values()])
            result.update({"gradient." + k: p.grad.clone() for k, p in net.named_parameters()})
        optimizer.step()
        losses.append(loss.item())

    result.update({"model." + name: tensor for name, tensor in net.state_dict().items()})
    result["losses"] = torch.tensor(losses, dtype=torch.float64)
    return result


cases.train_all(train)
