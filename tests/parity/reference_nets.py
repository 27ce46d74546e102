"""The nets of src/models as torchvision, timm and Hugging Face define them, parameter for parameter, using only
torch."""

import torch
from torch import nn
from torch.nn import functional as F


class ConvNet(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 24, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 64, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 96, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(96)
        self.conv4 = nn.Conv2d(96, 128, 3, padding=1, bias=False)
        self.bn4 = nn.BatchNorm2d(128)
        self.fc = nn.Linear(128, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        x = torch.relu(self.bn2(F.max_pool2d(self.conv2(x), 2)))
        x = torch.relu(self.bn3(F.max_pool2d(self.conv3(x), 2)))
        x = torch.relu(self.bn4(self.conv4(x)))
        return self.fc(x.mean((2, 3)))


class Linear(nn.Module):
    def __init__(self, pixels, classes):
        super().__init__()
        self.fc = nn.Linear(pixels, classes)

    def forward(self, x):
        return self.fc(x.flatten(1))


class LinearInPatches(nn.Module):
    def __init__(self, channels, classes, patch):
        super().__init__()
        self.fc = nn.Conv2d(channels, classes, patch, padding="same")

    def forward(self, x):
        return {"logits": self.fc(x)}


class LinearInColumns(nn.Module):
    def __init__(self, numbers, values, classes):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes))
        self.numeric = nn.Linear(numbers, classes, bias=False)
        self.categorical = nn.Embedding(values, classes)

    def forward(self, numbers, categories):
        one_hot = F.one_hot(categories, len(self.categorical.weight)).sum(1).to(numbers.dtype)
        return {"logits": self.bias + one_hot @ self.categorical.weight + self.numeric(numbers)}


class MLP(nn.Module):
    def __init__(self, numbers, columns, values, embedding, width, depth, classes):
        super().__init__()
        self.embedding = nn.Embedding(values, embedding)
        self.depth = depth
        inputs = numbers + columns * embedding
        for i in range(depth):
            self.add_module(f"hidden{i}", nn.Linear(inputs, width))
            inputs = width
        self.fc = nn.Linear(inputs, classes)

    def forward(self, numbers, categories):
        x = torch.cat([numbers, *self.embedding(categories).unbind(1)], 1)
        for i in range(self.depth):
            x = F.relu(self.get_submodule(f"hidden{i}")(x))
        return {"logits": self.fc(x)}


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels, width, stride, before=1, dilation=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, before, before, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def residual(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, channels, width, stride, before=1, dilation=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, before, before, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)

    def residual(self, x):
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return self.bn3(self.conv3(x))


class ResNet(nn.Module):
    def __init__(self, block, depths, channels, classes, small_stem, dilated=False):
        super().__init__()
        self.small_stem = small_stem
        stem = (3, 1, 1) if small_stem else (7, 2, 3)
        self.conv1 = nn.Conv2d(channels, 64, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        width, before = 64, 1
        for i, depth in enumerate(depths):
            layer = nn.Sequential()
            dilation = before * 2 if dilated and i >= 2 else before
            for k in range(depth):
                stride = 2 if k == 0 and i > 0 and dilation == before else 1
                layer.append(block(width, 64 << i, stride, before, dilation))
                before = dilation
                out = (64 << i) * block.expansion
                if stride != 1 or width != out:
                    layer[-1].downsample = nn.Sequential(
                        nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                    )
                width = out
            setattr(self, f"layer{i + 1}", layer)
        self.fc = nn.Linear(width, classes) if classes else None

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.small_stem:
            x = F.max_pool2d(x, 3, 2, 1)
        results = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                shortcut = block.downsample(x) if hasattr(block, "downsample") else x
                x = F.relu(block.residual(x) + shortcut)
            results.append(x)
        return results

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.features(x)[-1], 1).flatten(1))


RESNETS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ViTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x):
        n, tokens, width = x.shape
        qkv = self.attn["qkv"](self.norm1(x)).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        x = x + self.attn["proj"](mixed)
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class VisionTransformer(nn.Module):
    def __init__(self, width, heads, size, patch, channels, classes):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (size // patch) ** 2, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, patch)})
        self.blocks = nn.Sequential(*[ViTBlock(width, heads) for _ in range(12)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def set_input_size(self, size):
        """Resamples the position embeddings of a square grid, as timm's method of this name does."""
        grid, patch = round((self.pos_embed.shape[1] - 1) ** 0.5), self.patch_embed["proj"].kernel_size[0]
        token, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:].unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
        size = [side // patch for side in size]
        patches = F.interpolate(patches, size, mode="bicubic", antialias=True)
        self.pos_embed = nn.Parameter(torch.cat([token, patches.flatten(2).transpose(1, 2)], 1))

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))
        self.block = nn.ModuleDict({"0": nn.Conv2d(width, width, 7, padding=3, groups=width)})
        self.block["2"] = nn.LayerNorm(width, eps=1e-6)
        self.block["3"] = nn.Linear(width, 4 * width)
        self.block["5"] = nn.Linear(4 * width, width)

    def forward(self, x):
        y = self.block["2"](self.block["0"](x).permute(0, 2, 3, 1))
        y = self.block["5"](F.gelu(self.block["3"](y)))
        return x + self.layer_scale * y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, width, depths, patch, channels, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(channels, width, patch, patch), LayerNorm2d(width, eps=1e-6))
        )
        for i, depth in enumerate(depths):
            if i > 0:
                down = nn.Sequential(LayerNorm2d(width, eps=1e-6), nn.Conv2d(width, 2 * width, 2, 2))
                self.features.append(down)
                width *= 2
            self.features.append(nn.Sequential(*[CNBlock(width) for _ in range(depth)]))
        self.classifier = nn.Sequential(LayerNorm2d(width, eps=1e-6), nn.Flatten(), nn.Linear(width, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3), keepdim=True))


def convnext_atto(channels, classes, patch=4):
    return ConvNeXt(40, (2, 2, 6, 2), patch, channels, classes)


def conv_bn(channels, width, kernel, stride=1, groups=1):
    conv = nn.Conv2d(channels, width, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(width)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True)))))


class MBConv(nn.Module):
    def __init__(self, channels, out, expansion, kernel, stride):
        super().__init__()
        width = channels * expansion
        layers = [nn.Sequential(*conv_bn(channels, width, 1), nn.SiLU())] if expansion > 1 else []
        layers.append(nn.Sequential(*conv_bn(width, width, kernel, stride, width), nn.SiLU()))
        layers.append(SqueezeExcitation(width, channels // 4))
        layers.append(nn.Sequential(*conv_bn(width, out, 1)))
        self.block = nn.Sequential(*layers)
        self.adds = stride == 1 and channels == out

    def forward(self, x):
        return self.block(x) + x if self.adds else self.block(x)


class EfficientNetB0(nn.Module):
    """Without dropout and stochastic depth."""

    def __init__(self, channels, classes, stride):
        super().__init__()
        self.features = nn.Sequential(nn.Sequential(*conv_bn(channels, 32, 3, stride), nn.SiLU()))
        width = 32
        for expansion, kernel, first, out, blocks in (
            (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
            (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
        ):  # fmt: skip
            stage = nn.Sequential(MBConv(width, out, expansion, kernel, first))
            stage.extend(MBConv(out, out, expansion, kernel, 1) for _ in range(blocks - 1))
            self.features.append(stage)
            width = out
        self.features.append(nn.Sequential(*conv_bn(width, 1280, 1), nn.SiLU()))
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def make(name, channels, size, classes, small_stem, patch):
    if name == "convnet":
        return ConvNet(channels, classes)
    if name == "linear":
        return Linear(channels * size**2, classes)
    if name == "convnext_atto":
        return convnext_atto(channels, classes, patch)
    if name == "efficientnet_b0":
        return EfficientNetB0(channels, classes, 1 if small_stem else 2)
    if name.startswith("vit"):
        width, heads = {"vit_tiny": (192, 3), "vit_small": (384, 6)}[name]
        return VisionTransformer(width, heads, size, patch, channels, classes)
    return ResNet(*RESNETS[name], channels, classes, small_stem)


def conv_bn_relu(channels, width, kernel, dilation=1):
    conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2 * dilation, dilation=dilation, bias=False)
    return conv, nn.BatchNorm2d(width), nn.ReLU()


class FCNHead(nn.Sequential):
    def __init__(self, channels, classes, dropout):
        width = channels // 4
        super().__init__(*conv_bn_relu(channels, width, 3), nn.Dropout(dropout), nn.Conv2d(width, classes, 1))


class ASPPPooling(nn.Sequential):
    def __init__(self, channels):
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_bn_relu(channels, 256, 1))

    def forward(self, x):
        return F.interpolate(super().forward(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


class ASPP(nn.Module):
    def __init__(self, channels, dropout):
        super().__init__()
        self.convs = nn.ModuleList([nn.Sequential(*conv_bn_relu(channels, 256, 1))])
        self.convs.extend(nn.Sequential(*conv_bn_relu(channels, 256, 3, rate)) for rate in (12, 24, 36))
        self.convs.append(ASPPPooling(channels))
        self.project = nn.Sequential(*conv_bn_relu(5 * 256, 256, 1), nn.Dropout(dropout))

    def forward(self, x):
        return self.project(torch.cat([conv(x) for conv in self.convs], 1))


class DeepLabHead(nn.Sequential):
    def __init__(self, channels, classes, dropout):
        super().__init__(ASPP(channels, dropout), *conv_bn_relu(256, 256, 3), nn.Conv2d(256, classes, 1))


class SegmentationResNet(nn.Module):
    def __init__(self, resnet, head, channels, classes, dropout, aux):
        super().__init__()
        block, depths = RESNETS[resnet]
        self.backbone = ResNet(block, depths, channels, None, False, dilated=True)
        self.classifier = head(512 * block.expansion, classes, dropout)
        self.aux_classifier = FCNHead(256 * block.expansion, classes, dropout) if aux else None

    def forward(self, x):
        _, _, layer3, layer4 = self.backbone.features(x)
        outputs = {"logits": self.classifier(layer4)}
        if self.aux_classifier is not None:
            outputs["aux"] = self.aux_classifier(layer3)
        size = x.shape[-2:]
        return {k: F.interpolate(y, size=size, mode="bilinear", align_corners=False) for k, y in outputs.items()}


class DoubleConv(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class UNet(nn.Module):
    def __init__(self, channels, classes, width, depth, patch):
        super().__init__()
        self.depth, self.patch = depth, patch
        channels *= patch**2
        for i in range(depth + 1):
            self.add_module(f"down{i}", DoubleConv(channels, width << i))
            channels = width << i
        for i in range(depth):
            out = width << i
            up = {"upsample": nn.ConvTranspose2d(2 * out, out, 2, 2), "conv": DoubleConv(2 * out, out)}
            self.add_module(f"up{i}", nn.ModuleDict(up))
        self.head = nn.Conv2d(width, classes * patch**2, 1)

    def forward(self, x):
        x, skips = F.pixel_unshuffle(x, self.patch), []
        for i in range(self.depth):
            skips.append(self.get_submodule(f"down{i}")(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.get_submodule(f"down{self.depth}")(x)
        for i in reversed(range(self.depth)):
            up = self.get_submodule(f"up{i}")
            x = up["conv"](torch.cat([skips[i], up["upsample"](x)], 1))
        return {"logits": F.pixel_shuffle(self.head(x), self.patch)}


class Conv1D(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return x @ self.weight + self.bias


class GPT2Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"c_attn": Conv1D(width, 3 * width), "c_proj": Conv1D(width, width)})
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": Conv1D(width, 4 * width), "c_proj": Conv1D(4 * width, width)})

    def attention(self, x):
        n, tokens, width = x.shape
        q, k, v = (
            part.view(n, tokens, self.heads, width // self.heads).transpose(1, 2)
            for part in self.attn["c_attn"](x).split(width, 2)
        )
        scores = q @ k.transpose(2, 3) / (width // self.heads) ** 0.5
        future = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(future, -torch.inf).softmax(-1) @ v
        return self.attn["c_proj"](mixed.transpose(1, 2).reshape(n, tokens, width))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class GPT2LMHeadModel(nn.Module):
    def __init__(self, vocabulary, context, layers, heads, width):
        super().__init__()
        wte, wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        h = nn.ModuleList([GPT2Block(width, heads) for _ in range(layers)])
        self.transformer = nn.ModuleDict({"wte": wte, "wpe": wpe, "h": h, "ln_f": nn.LayerNorm(width)})

    def forward(self, tokens):
        parts = self.transformer
        x = parts["wte"](tokens) + parts["wpe"].weight[: tokens.shape[1]]
        for block in parts["h"]:
            x = block(x)
        return {"logits": F.linear(parts["ln_f"](x), parts["wte"].weight)}


def make_with_outputs(o):
    """Returns a model whose outputs have names: scores per pixel, token or table row."""
    if o["model"] == "gpt":
        return GPT2LMHeadModel(o["outputs"], o["context"], o["layers"], o["heads"], o["width"])
    if o["model"] == "unet":
        return UNet(o["channels"], o["outputs"], o["width"], o["depth"], o["patch"])
    if o["model"] == "mlp":
        return MLP(o["numbers"], o["columns"], o["values"], o["embedding"], o["width"], o["depth"], o["outputs"])
    if o["model"] == "linear" and "numbers" in o:
        return LinearInColumns(o["numbers"], o["values"], o["outputs"])
    if o["model"] == "linear":
        return LinearInPatches(o["channels"], o["outputs"], o["patch"])
    family, resnet = o["model"].split("_")
    head = {"fcn": FCNHead, "deeplabv3": DeepLabHead}[family]
    return SegmentationResNet(resnet, head, o["channels"], o["outputs"], o["dropout"], o["aux"])
