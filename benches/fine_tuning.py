#!/usr/bin/env python3
"""The peer of `benches/fine_tuning.rs`: milliseconds per picture of a training step in PyTorch.

    python benches/fine_tuning.py last-3|all BATCH

EfficientNet-Lite0 at 224 pixels, channels-last, batch normalisation frozen, SGD with momentum. `last-3` runs the
front under no_grad in each step, as one does without a cache of activations. Weights are random: they make no
difference to the time. Prints one JSON object: milliseconds per picture (the best of eight steps) and the
peak of resident memory in megabytes. Needs torch.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

# Expansion, channels, repeats, stride, kernel of each stage (Tan and Le 2019, table 1; Lite: no squeeze-and-excite).
STAGES = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU6; TensorFlow's SAME padding at stride 2."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, act=True):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = 0 if stride == 2 else kernel // 2
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.ReLU6() if act else nn.Identity()

    def forward(self, x):
        if self.stride == 2:
            size = x.shape[2]
            pad = max((-(-size // 2) - 1) * 2 + self.kernel - size, 0)
            x = F.pad(x, [pad // 2, pad - pad // 2, pad // 2, pad - pad // 2])
        return self.act(self.norm(self.conv(x)))


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018)."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [Convolution(inputs, hidden, 1)] if expansion > 1 else []
        layers.append(Convolution(hidden, hidden, kernel, stride, hidden))
        layers.append(Convolution(hidden, outputs, 1, act=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.residual else y


def network():
    layers, inputs = [Convolution(3, 32, 3, 2)], 32
    for expansion, outputs, repeats, stride, kernel in STAGES:
        for at in range(repeats):
            step = stride if at == 0 else 1
            layers.append(Block(inputs, outputs, kernel, step, expansion))
            inputs = outputs
    layers.append(Convolution(inputs, 1280, 1))
    return layers


def main():
    depth, batch = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))
    layers = network()
    # The last three blocks are two of stage 6 and stage 7 with the last convolution.
    cut = len(layers) - 4 if depth == "last-3" else 0
    front, back = nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
    head = nn.Linear(1280, 10)
    for part in (front, back, head):
        part.to(memory_format=torch.channels_last).eval()
    trained = list(back.parameters()) + list(head.parameters())
    optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=0.9)
    x = torch.randn(batch, 3, 224, 224).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch,))

    def step():
        with torch.no_grad():
            features = front(x)
        loss = F.cross_entropy(head(back(features).mean((2, 3))), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    step()
    best = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": 1e3 * best / batch, "peak_mb": peak}))


main()
