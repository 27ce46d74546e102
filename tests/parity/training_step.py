"""Takes the training steps of training_step_test.cpp with PyTorch.

usage: training_step.py FOLDER
FOLDER/cases.json is a list of objects with a name and options. FOLDER/<name>.safetensors holds "model.<name>" (initial
weights), "images" (N×H×W×C, uint8) and "labels" (N). Writes to FOLDER/<name>.float32.safetensors "logits" and
"gradient.<name>" of the first step, and "losses", "model.<name>" and "ema.<name>" after the last, with float32 weights
and the case's precision; to FOLDER/<name>.float64.safetensors the same with everything in float64.
"""

import cases
import optimizers
import reference_nets
import torch
from torch import nn


def train(o, tensors, dtype):
    net = reference_nets.make(o["model"], o["channels"], o["size"], 10, o["small_stem"], o["patch_size"])
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    net.load_state_dict(weights, strict=True)
    device = torch.device(o["device"])
    net.to(device, dtype)
    images = ((tensors["images"].permute(0, 3, 1, 2).double() / 255 - o["mean"]) / o["std"]).to(device, dtype)
    labels = tensors["labels"].to(device)
    autocast = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(o["precision"]) if dtype == torch.float32 else None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o["precision"] != "fp32"

    optimizer = optimizers.make(net.named_parameters(), o)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, o["lr"], o["steps"], cycle_momentum=False)
    scaler = torch.amp.GradScaler(device.type, enabled=autocast == torch.float16)
    ema = {k: v.clone() for k, v in net.state_dict().items()}
    result, losses = {}, []
    for step in range(1, o["steps"] + 1):
        if not o["one_cycle"]:
            for group in optimizer.param_groups:
                group["lr"] = o["lr"]
        optimizer.zero_grad()
        with torch.autocast(device.type, autocast, enabled=autocast is not None):
            logits = net(images)
        logits = logits.to(dtype)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=o["label_smoothing"])
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        if o["clip_grad_norm"] > 0:
            nn.utils.clip_grad_norm_(net.parameters(), o["clip_grad_norm"])
        if o["clip_grad_value"] > 0:
            nn.utils.clip_grad_value_(net.parameters(), o["clip_grad_value"])
        if step == 1:
            result["logits"] = logits
            result.update({"gradient." + k: p.grad.clone() for k, p in net.named_parameters()})
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        decay = min(o["ema_decay"], (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            ema[name] = decay * ema[name] + (1 - decay) * value if value.is_floating_point() else value.clone()
        losses.append(loss.item())

    result.update({"model." + name: tensor for name, tensor in net.state_dict().items()})
    result.update({"ema." + name: tensor for name, tensor in ema.items()})
    result["losses"] = torch.tensor(losses, dtype=torch.float64)
    return result


torch.use_deterministic_algorithms(True)
cases.train_all(train)
