"""The nets of src/models as torchvision and timm write them, parameter for parameter, with nothing but torch."""

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


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def residual(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)

    def residual(self, x):
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return self.bn3(self.conv3(x))


class ResNet(nn.Module):
    def __init__(self, block, depths, channels, classes, small_stem):
        super().__init__()
        self.small_stem = small_stem
        stem = (3, 1, 1) if small_stem else (7, 2, 3)
        self.conv1 = nn.Conv2d(channels, 64, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        width = 64
        for i, depth in enumerate(depths):
            layer = nn.Sequential()
            for k in range(depth):
                stride = 2 if k == 0 and i > 0 else 1
                layer.append(block(width, 64 << i, stride))
                out = (64 << i) * block.expansion
                if stride != 1 or width != out:
                    layer[-1].downsample = nn.Sequential(
                        nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                    )
                width = out
            setattr(self, f"layer{i + 1}", layer)
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.small_stem:
            x = F.max_pool2d(x, 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                shortcut = block.downsample(x) if hasattr(block, "downsample") else x
                x = F.relu(block.residual(x) + shortcut)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


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

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


def make(name, channels, size, classes, small_stem, patch):
    if name == "convnet":
        return ConvNet(channels, classes)
    if name.startswith("vit"):
        width, heads = {"vit_tiny": (192, 3), "vit_small": (384, 6)}[name]
        return VisionTransformer(width, heads, size, patch, channels, classes)
    block, depths = {
        "resnet18": (BasicBlock, (2, 2, 2, 2)),
        "resnet34": (BasicBlock, (3, 4, 6, 3)),
        "resnet50": (Bottleneck, (3, 4, 6, 3)),
    }[name]
    return ResNet(block, depths, channels, classes, small_stem)
