"""Creates models whose weights are published, with random weights, for published_weights_test.cpp.

usage: published_weights.py FOLDER
Writes to FOLDER/<name>.safetensors "weights.<name>" (a state dict as it is published), "input", and "logits" and "aux"
(the model's outputs for the input in evaluation mode). The models are those of torchvision, timm and transformers if
these are installed, otherwise those of reference_nets.py. Prints the origin of each one.
"""

import sys

import reference_nets
import safetensors_io
import torch
from torch import nn


def segmentation(name):
    try:
        from torchvision.models import segmentation

        net = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=7, aux_loss=True)
        origin = "torchvision"
    except (ImportError, RuntimeError):
        options = {"model": name, "channels": 3, "outputs": 7, "dropout": 0.1, "aux": True}
        net, origin = reference_nets.make_with_outputs(options), "reference_nets"
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 40, 56)
    outputs = net.eval()(images)
    return origin, net.state_dict(), images, outputs.get("logits", outputs.get("out")), outputs["aux"]


def efficientnet():
    try:
        from torchvision.models import efficientnet_b0

        net, origin = efficientnet_b0(weights=None), "torchvision"
    except (ImportError, RuntimeError):
        net, origin = reference_nets.make("efficientnet_b0", 3, 224, 1000, False, None), "reference_nets"
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 40, 56)
    return origin, net.state_dict(), images, net.eval()(images)


def convnext():
    try:
        from torchvision.models import convnext as models

        widths, depths = (40, 80, 160, 320, None), (2, 2, 6, 2)
        net, origin = models.ConvNeXt(list(map(models.CNBlockConfig, widths, widths[1:], depths)), 0.1), "torchvision"
    except (ImportError, RuntimeError):
        net, origin = reference_nets.convnext_atto(3, 1000), "reference_nets"
    for name, p in net.named_parameters():
        nn.init.normal_(p, 0, 1 if name.endswith("layer_scale") else 0.1)
    images = torch.randn(2, 3, 40, 56)
    return origin, net.state_dict(), images, net.eval()(images)


def timm_names(state):
    """torchvision's tensors of a ConvNeXt up to nano as timm has them: the reverse of src/models/convnext_names.cpp."""
    parts = {"block.0": "conv_dw", "block.2": "norm", "block.3": "mlp.fc1", "block.5": "mlp.fc2"}
    result = {}
    for name, tensor in state.items():
        if name.startswith("classifier."):
            name = name.replace("classifier.0", "head.norm").replace("classifier.2", "head.fc")
        elif name.startswith("features.0."):
            name = name.replace("features.0", "stem")
        else:
            _, i, rest = name.split(".", 2)
            if int(i) % 2 == 0:
                name = f"stages.{int(i) // 2}.downsample.{rest}"
            else:
                block, part = rest.split(".", 1)
                if part == "layer_scale":
                    part, tensor = "gamma", tensor.flatten()
                for own, timm in parts.items():
                    part = part.replace(own, timm)
                if part.endswith(("fc1.weight", "fc2.weight")):
                    tensor = tensor[:, :, None, None]
                name = f"stages.{int(i) // 2}.blocks.{block}.{part}"
        result[name] = tensor
    return result


def timm_convnext(name):
    try:
        import timm

        net, origin, names = timm.create_model(name), "timm", dict
    except ImportError:
        net, origin, names = reference_nets.convnext_atto(3, 1000), "reference_nets", timm_names
    for p in net.parameters():
        nn.init.normal_(p, 0, 1 if p.dim() == 1 else 0.1)
    images = torch.randn(2, 3, 40, 56)
    return origin, names(net.state_dict()), images, net.eval()(images)


def vit(side):
    """Weights for images of side × side pixels, and the scores of 40×56 pixels, with resampled position embeddings."""
    try:
        import timm

        options = {"patch_size": 8, "num_classes": 7}
        net, origin = timm.create_model("vit_tiny_patch16_224", img_size=side, **options), "timm"
    except (ImportError, RuntimeError):
        net, origin = reference_nets.make("vit_tiny", 3, side, 7, False, 8), "reference_nets"
    for p in net.parameters():
        nn.init.normal_(p, 0, 0.1)
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.set_input_size((40, 56))
    images = torch.randn(2, 3, 40, 56)
    return origin, weights, images, net.eval()(images)


def gpt2():
    try:
        from transformers import GPT2Config, GPT2LMHeadModel

        sizes = {"vocab_size": 101, "n_positions": 32, "n_layer": 3, "n_head": 4, "n_embd": 64}
        net, origin = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)), "transformers"
    except ImportError:
        net, origin = reference_nets.GPT2LMHeadModel(101, 32, 3, 4, 64), "reference_nets"
    for p in net.parameters():
        nn.init.normal_(p, 0, 0.2)
    tokens = torch.randint(0, 101, (2, 32))
    outputs = net.eval()(tokens)
    weights = net.state_dict()
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    return origin, weights, tokens, outputs["logits"]


def save(folder, name, weights, data, logits, aux=None):
    tensors = {"weights." + k: v for k, v in weights.items()} | {"input": data, "logits": logits}
    safetensors_io.save(f"{folder}/{name}.safetensors", tensors | ({} if aux is None else {"aux": aux}))


@torch.no_grad()
def main():
    folder = sys.argv[1]
    torch.manual_seed(1)
    for name in ("fcn_resnet50", "deeplabv3_resnet50"):
        origin, *tensors = segmentation(name)
        save(folder, name, *tensors)
        print(f"{name}: {origin}")
    origin, *tensors = efficientnet()
    save(folder, "efficientnet_b0", *tensors)
    print(f"efficientnet_b0: {origin}")
    origin, *tensors = convnext()
    save(folder, "convnext_atto", *tensors)
    print(f"convnext_atto: {origin}")
    origin, *tensors = timm_convnext("convnext_atto")
    save(folder, "timm_convnext_atto", *tensors)
    print(f"timm_convnext_atto: {origin}")
    for side in (32, 64):
        origin, *tensors = vit(side)
        save(folder, f"vit_tiny_{side}", *tensors)
        print(f"vit_tiny_{side}: {origin}")
    origin, weights, tokens, logits = gpt2()
    save(folder, "gpt_saved", weights, tokens, logits)
    # Like the first published files of GPT-2: without a prefix, with the causal masks, without the tied head.
    bare = {k.removeprefix("transformer."): v for k, v in weights.items() if k != "lm_head.weight"}
    for layer in range(3):
        bare[f"h.{layer}.attn.bias"] = torch.ones(32, 32).tril().view(1, 1, 32, 32)
        bare[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    save(folder, "gpt_published", bare, tokens, logits)
    print(f"gpt: {origin}")


main()
