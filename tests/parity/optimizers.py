"""PyTorch's optimizers, and Lion, with the options of the parity tests."""

import torch


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                update = (beta1 * m + (1 - beta1) * p.grad).sign()
                p.sub_(group["lr"] * (update + group["weight_decay"] * p))
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


def make(named_parameters, o, scale=lambda name: 1.0):
    """scale(name): the parameter's factor of the learning rate."""
    groups = {}
    for name, p in named_parameters:
        free = not o["decay_bias_norm"] and (p.ndim <= 1 or name in ("cls_token", "pos_embed"))
        groups.setdefault((scale(name), 0.0 if free else o["weight_decay"]), []).append(p)
    groups = [{"params": ps, "lr": o["lr"] * s, "weight_decay": decay} for (s, decay), ps in groups.items()]
    if o["optimizer"] == "sgd":
        return torch.optim.SGD(groups, momentum=o["momentum"], nesterov=o["nesterov"], lr=o["lr"])
    betas = (o["beta1"], o["beta2"])
    if o["optimizer"] == "lion":
        return Lion(groups, betas=betas, lr=o["lr"], weight_decay=0.0)
    return torch.optim.AdamW(groups, betas=betas, eps=o["eps"])
