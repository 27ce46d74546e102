"""Computes losses with PyTorch and metrics with torchmetrics from the outputs drawn by tasks_test.cpp.

usage: references.py FOLDER
FOLDER/cases.json is a list of objects with a name, a task and its options; FOLDER/<name>.safetensors holds "logits" and
the targets. Writes "loss" (the mean), "gradient" (of the logits) and "metric.<name>" to
FOLDER/<name>.expected.safetensors.
"""

import json
import os
import sys

import torch
from torch.nn import functional
from torchmetrics.functional import (
    accuracy,
    exact_match,
    f1_score,
    jaccard_index,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)
from torchmetrics.functional.classification import multiclass_auroc, multilabel_average_precision
from torchmetrics.functional.text import perplexity

sys.path.append(os.path.join(os.path.dirname(__file__), "../parity"))
import safetensors_io  # noqa: E402


def weights_of(o):
    return torch.tensor(o["weights"]) if o["weights"] else None


def classification(o, logits, t):
    weight, classes = weights_of(o), logits.shape[1]

    def one(target):
        soft = target.dtype == torch.float32
        if o["loss"] == "bce":
            shares = target if soft else functional.one_hot(target, classes).float()
            shares = shares * (1 - o["smoothing"]) + o["smoothing"] / classes
            return functional.binary_cross_entropy_with_logits(logits, shares, weight=weight)
        if o["loss"] == "focal":
            p = logits.softmax(1).gather(1, target[:, None])[:, 0]
            w = weight[target] if weight is not None else torch.ones_like(p)
            return (w * (1 - p) ** o["gamma"] * -p.log()).sum() / w.sum()
        return functional.cross_entropy(logits, target, weight=weight, label_smoothing=o["smoothing"])

    label = t["target"] if "target" in t else t["label"]
    loss = one(label)
    if "other_label" in t:
        loss = t["share"] * loss + (1 - t["share"]) * one(t["other_label"])
    hard = label.argmax(1) if label.dtype == torch.float32 else label
    metrics = {
        "accuracy": accuracy(logits, hard, "multiclass", num_classes=classes, average="micro"),
        "top5": accuracy(logits, hard, "multiclass", num_classes=classes, average="micro", top_k=5),
    }
    if o["auc"]:
        each = multiclass_auroc(logits.detach().double(), hard, num_classes=classes, average=None)
        metrics["auc"] = each[hard.unique()].mean()
    return loss, metrics


def segmentation(o, logits, t):
    mask, classes, ignored = t["mask"], logits.shape[1], o["ignored"]
    valid = mask != ignored
    loss = functional.cross_entropy(logits, mask, weight=weights_of(o), ignore_index=ignored)
    if o["dice"]:
        weight = weights_of(o) if o["weights"] else torch.ones(classes)
        losses, sample_weights = [], []
        for i in range(len(mask)):
            p, m = logits[i].softmax(0)[:, valid[i]], mask[i][valid[i]]
            dice = []
            for c in m.unique():
                truth = (m == c).float()
                dice.append(2 * (p[c] * truth).sum() / (p[c].sum() + truth.sum()))
            losses.append(1 - torch.stack(dice).mean())
            sample_weights.append(weight[m].sum())
        losses, sample_weights = torch.stack(losses), torch.stack(sample_weights)
        loss = loss + o["dice"] * (losses * sample_weights).sum() / sample_weights.sum()
    guess = logits.argmax(1)
    metrics = {
        "miou": jaccard_index(guess, mask, "multiclass", num_classes=classes, ignore_index=ignored),
        "pixel_accuracy": accuracy(guess, mask, "multiclass", num_classes=classes, average="micro", ignore_index=ignored),
    }
    return loss, metrics


def language_model(o, logits, t):
    loss = functional.cross_entropy(logits.flatten(0, 1), t["target"].flatten(), ignore_index=o["ignored"])
    bits = loss.detach() / torch.log(torch.tensor(2.0))
    return loss, {"perplexity": perplexity(logits.detach(), t["target"], ignore_index=o["ignored"]), "bits_per_byte": bits}


def multi_label(o, logits, t):
    count = logits.shape[1]
    weight = weights_of(o) if o["weights"] else torch.ones(count)

    def one(labels):
        if o["loss"] == "bce":
            return functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)
        # Ridnik et al. 2021, in float64, so that no logarithm is taken of a value rounded to 0 or 1.
        p = logits.double().sigmoid()
        shifted = (p - o["clip"]).clamp(min=0)
        positive = (1 - p) ** o["gamma_pos"] * p.log()
        negative = shifted ** o["gamma_neg"] * (1 - shifted).log()
        return -(labels * positive + (1 - labels) * negative).mean().float()

    labels = t["labels"]
    loss = one(labels)
    if "other_labels" in t:
        loss = t["share"] * loss + (1 - t["share"]) * one(t["other_labels"])
    scores, truth = logits.detach().double(), labels.long()
    metrics = {
        f"{average}_f1": f1_score(scores, truth, "multilabel", num_labels=count, average=average)
        for average in ("macro", "micro")
    }
    metrics["subset_accuracy"] = exact_match(scores, truth, "multilabel", num_labels=count)
    each = multilabel_average_precision(scores, truth, num_labels=count, average=None)
    metrics["map"] = each[truth.any(0)].mean()
    return loss, metrics


def regression(o, logits, t):
    mean, std = (torch.tensor(o[name], dtype=torch.float64) for name in ("mean", "std"))
    target = t["target"].double()
    losses = {
        "mse": functional.mse_loss,
        "l1": functional.l1_loss,
        "huber": lambda guess, truth: functional.huber_loss(guess, truth, delta=o["delta"]),
    }
    loss = losses[o["loss"]](logits, ((target - mean) / std).float())
    guess = logits.detach().double() * std + mean
    targets = target.shape[1]
    return loss, {
        "r2": r2_score(guess, target, multioutput="uniform_average"),
        "mae": mean_absolute_error(guess, target, num_outputs=targets).mean(),
        "rmse": mean_squared_error(guess, target, squared=False, num_outputs=targets).mean(),
    }


def main(folder):
    with open(f"{folder}/cases.json") as file:
        cases = json.load(file)
    for o in cases:
        tensors = safetensors_io.load(f"{folder}/{o['name']}.safetensors")
        logits = tensors.pop("logits").requires_grad_()
        loss, metrics = globals()[o["task"]](o, logits, tensors)
        loss.backward()
        result = {"loss": loss.detach(), "gradient": logits.grad}
        result |= {f"metric.{name}": value.double() for name, value in metrics.items()}
        safetensors_io.save(f"{folder}/{o['name']}.expected.safetensors", result)


if __name__ == "__main__":
    main(sys.argv[1])
