"""Fine-tunes a ResNet-18 on other classes, as fine_tuning_test.cpp does: torchvision's model, or that of
reference_nets.py if torchvision is not installed, with frozen modules in evaluation mode and a learning rate per stage,
as timm's param_groups_layer_decay sets it.

usage: fine_tuning.py FOLDER
FOLDER/cases.json is a list of objects with a name and options. FOLDER/<name>.safetensors holds "images" (N×H×W×C,
uint8), "labels" (N) and the new head, "fc.weight" and "fc.bias". Writes to FOLDER/<name>.float32.safetensors and
.float64.safetensors "weights.<name>", the state dict with which both programs start, for 1000 classes, and
"model.<name>", the one after the last step.
"""

import cases
import optimizers
import reference_nets
import torch
from torch import nn

STAGES = [("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",), ("fc",)]


def resnet18():
    try:
        from torchvision.models import resnet18

        return resnet18(weights=None)
    except (ImportError, RuntimeError):
        return reference_nets.make("resnet18", 3, 64, 1000, False, 16)


def train(o, tensors, dtype):
    torch.manual_seed(1)
    net = resnet18()
    for module in net.modules():  # instead of trained weights, but with no zeros
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    result = {"weights." + k: v.clone() for k, v in net.state_dict().items()}

    net.fc = nn.Linear(512, len(tensors["fc.bias"]))
    net.fc.load_state_dict({"weight": tensors["fc.weight"], "bias": tensors["fc.bias"]})
    net.to(dtype).train()
    for name in o["frozen"]:
        getattr(net, name).requires_grad_(False).eval()

    def scale(name):
        stage = next(i for i, modules in enumerate(STAGES) if name.split(".")[0] in modules)
        return o["layer_decay"] ** (len(STAGES) - 1 - stage)

    optimizer = optimizers.make(((k, p) for k, p in net.named_parameters() if p.requires_grad), o, scale)
    mean, std = (torch.tensor(o[k], dtype=dtype).view(3, 1, 1) for k in ("mean", "std"))
    images = (tensors["images"].permute(0, 3, 1, 2).to(dtype) / 255 - mean) / std
    for _ in range(o["steps"]):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), tensors["labels"]).backward()
        optimizer.step()
    return result | {"model." + k: v for k, v in net.state_dict().items()}


cases.train_all(train)
