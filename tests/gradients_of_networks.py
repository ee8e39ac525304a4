#!/usr/bin/env python3
"""Prepares whole networks, and PyTorch's gradients of them, for the test of the gradient rules.

    python tests/gradients_of_networks.py --small tests/fixtures/gradients
    python tests/gradients_of_networks.py FOLDER [NAME…]
    SALAMANDER_NETWORKS=FOLDER cargo test --release --test it gradients_of_networks -- --nocapture

Run by hand: it needs PyTorch (the exporter of later ones writes another kind of file) and onnx, which the tests that run
everywhere must not need, and torchvision and timm for the networks that are not small. The files of the small networks are in
the repository, so that they are compared wherever the tests run; they were made with the versions in PINS. The others are
compared when the environment variable names the folder with them.

For each network with random weights and batch-norm statistics, in evaluation mode, FOLDER gets NAME.onnx
(operators of version 17, output `logits`) and NAME.safetensors: `input`, `labels`, and for each parameter P
`gradient.P`, the derivative of the cross-entropy of a batch by it, computed by PyTorch's autograd in double
precision. What PyTorch itself is off by when it computes in single precision is printed: the measure of what
can be asked for. ReLU and its kin have corners: where an activation lies so close to one that rounding decides on
which side, no two programs agree. So inputs are drawn until the gradients stay what they are when all
parameters are off by a little more than rounding.

Each network comes twice: NAME with batch norm as it is, NAME-folded with batch norm (and padding nodes)
folded into the convolutions, which is how networks are exported for use.
"""

import json
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

# What the files in the repository were made with.
PINS = {"torch": "2.5.1", "onnx": "1.17.0", "numpy": "1.26.4"}

CLASSES = 5
BATCH = 2
MOST_TRIES = 40


class SameConv(nn.Conv2d):
    """TensorFlow's SAME padding, which is one less before than after at stride 2."""

    def forward(self, x):
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1]):
            total = max((-(-int(size) // stride) - 1) * stride + kernel - int(size), 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def conv_norm(inside, outside, kernel=1, stride=1, groups=1, act=None):
    conv = SameConv(inside, outside, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside, eps=1e-3), *([act()] if act else []))


class InvertedResidual(nn.Module):
    def __init__(self, inside, outside, kernel, stride, expansion):
        super().__init__()
        wide = inside * expansion
        layers = [conv_norm(inside, wide, act=nn.ReLU6)] if expansion > 1 else []
        layers.append(conv_norm(wide, wide, kernel, stride, wide, nn.ReLU6))
        layers.append(conv_norm(wide, outside))
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inside == outside

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.skip else y


def efficientnet_lite0():
    """The structure of models/convert.py."""
    stages = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
              (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]
    layers = [conv_norm(3, 32, 3, 2, act=nn.ReLU6)]
    inside = 32
    for kernel, stride, expansion, outside, repeats in stages:
        for index in range(repeats):
            layers.append(InvertedResidual(inside, outside, kernel, stride if index == 0 else 1, expansion))
            inside = outside
    layers += [conv_norm(320, 1280, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2),
               nn.Linear(1280, CLASSES)]
    return nn.Sequential(*layers)


def mobilenet_v1():
    layers = [conv_norm(3, 32, 3, 2, act=nn.ReLU6)]
    inside = 32
    for outside, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [
            (1024, 2), (1024, 1)]:
        layers += [conv_norm(inside, inside, 3, stride, inside, nn.ReLU6),
                   conv_norm(inside, outside, act=nn.ReLU6)]
        inside = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, CLASSES))


def prelu_net():
    """PReLU, leaky ReLU, GELU, layer norm: what the others lack."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.PReLU(16), nn.Conv2d(16, 32, 3, 1, 2, dilation=2, groups=4),
        nn.BatchNorm2d(32), nn.LeakyReLU(0.1), nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.ReflectionPad2d(1), nn.Conv2d(32, 24, 3), nn.GELU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.LayerNorm(24), nn.Linear(24, CLASSES))


class SqueezeExcite(nn.Module):
    """Channels weighed by what is seen everywhere, as in MobileNet v3."""

    def __init__(self, channels):
        super().__init__()
        self.fewer = nn.Conv2d(channels, channels // 4, 1)
        self.again = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x):
        weights = self.again(F.relu(self.fewer(F.adaptive_avg_pool2d(x, 1))))
        return x * F.hardsigmoid(weights)


class Branches(nn.Module):
    """Two ways side by side, as in Inception and SqueezeNet."""

    def __init__(self, inside):
        super().__init__()
        self.narrow = conv_norm(inside, 4, act=nn.ReLU)
        self.wide = conv_norm(inside, 6, 3, act=nn.Hardswish)

    def forward(self, x):
        return torch.cat([self.narrow(x), self.wide(x)], 1)


def small_mobile():
    """What the networks for phones are made of, a few channels wide."""
    return nn.Sequential(
        conv_norm(3, 8, 3, 2, act=nn.ReLU6), InvertedResidual(8, 8, 3, 1, 2), InvertedResidual(8, 12, 5, 2, 2),
        SqueezeExcite(12), Branches(12), nn.MaxPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(10, CLASSES))


def small_mixed():
    """`prelu_net`, a few channels wide."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.PReLU(8), nn.Conv2d(8, 8, 3, 1, 2, dilation=2, groups=4),
        nn.BatchNorm2d(8), nn.LeakyReLU(0.1), nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.ReflectionPad2d(1), nn.Conv2d(8, 6, 3), nn.GELU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.LayerNorm(6), nn.Linear(6, CLASSES))


def of_torchvision(name, **options):
    def make():
        import torchvision

        return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)

    return make


def of_timm(name, **options):
    def make():
        import timm

        return timm.create_model(name, pretrained=False, num_classes=CLASSES, **options)

    return make


# Name: how it is made, height and width of its input.
NETWORKS = {
    "efficientnet_lite0": (efficientnet_lite0, 64),
    "mobilenet_v1": (mobilenet_v1, 64),
    "mobilenet_v2": (of_torchvision("mobilenet_v2"), 64),
    "mobilenet_v3_small": (of_torchvision("mobilenet_v3_small"), 64),
    "inception_v3": (of_torchvision("inception_v3", aux_logits=False, init_weights=True), 75),
    "resnet18": (of_torchvision("resnet18"), 64),
    "resnet50": (of_torchvision("resnet50"), 64),
    "mobilenet_v3_large": (of_torchvision("mobilenet_v3_large"), 64),
    "mobilenet_v4": (of_timm("mobilenetv4_conv_small"), 64),
    "efficientnet_b0": (of_torchvision("efficientnet_b0"), 64),
    "convnext_tiny": (of_torchvision("convnext_tiny"), 64),
    "vit_tiny": (of_timm("vit_tiny_patch16_224", img_size=64), 64),
    "shufflenet_v2_x0_5": (of_torchvision("shufflenet_v2_x0_5"), 64),
    "squeezenet1_1": (of_torchvision("squeezenet1_1"), 63),
    "prelu_net": (prelu_net, 33),
}
SMALL = {"small_mobile": (small_mobile, 17), "small_mixed": (small_mixed, 17)}


def with_random_statistics(model, x):
    """Statistics of what flows through, so that nothing explodes, and then something else at random."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(x)
    model.eval()
    with torch.no_grad():
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
            # Channels in which nothing happens would amplify rounding errors.
            norm.running_var.clamp_(min=0.3 * float(norm.running_var.mean()))
            deviation = norm.running_var.sqrt()
            norm.running_mean += 0.2 * deviation * torch.randn_like(deviation)
            norm.running_var *= 0.7 + 0.6 * torch.rand_like(deviation)
            norm.weight.copy_(0.6 + 0.4 * torch.rand_like(deviation))
            norm.bias.copy_(0.2 * torch.randn_like(deviation))


def fold(module):
    """Batch norm into the convolution before it, where the two stand side by side under one parent."""
    children = list(module.named_children())
    for (name, child), (next_name, following) in zip(children, children[1:]):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            # The bias that comes with it would not be trained.
            setattr(module, name, fuse_conv_bn_eval(child, following).requires_grad_(True))
            setattr(module, next_name, nn.Identity())
    for child in module.children():
        fold(child)


def fold_pads(model, some_input):
    """Padding nodes into the convolutions that follow: padding that differs from side to side."""
    graph = model.graph
    pads = {n.output[0]: n for n in graph.node if n.op_type == "Pad"}
    # The exporter writes the amounts as chains of constants.
    names = [n.input[1] for n in pads.values()]
    if not names:
        return
    needed, chain = set(names), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            chain.insert(0, node)
    outputs = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.INT64, None) for n in names]
    inputs = [i for i in graph.input if i.name in needed]
    weights = [i for i in graph.initializer if i.name in needed]
    chain = onnx.helper.make_graph(chain, "pads", inputs, outputs, weights)
    amounts_only = onnx.helper.make_model(chain, opset_imports=model.opset_import)
    constants = dict(zip(names, ReferenceEvaluator(amounts_only).run(None, {i.name: some_input for i in inputs})))
    for node in graph.node:
        if node.op_type == "Conv" and node.input[0] in pads:
            pad = pads[node.input[0]]
            if any(a.name == "mode" and a.s != b"constant" for a in pad.attribute):
                continue
            amounts = constants[pad.input[1]]
            before, after = amounts[2:4], amounts[6:8]
            for attribute in node.attribute:
                if attribute.name == "pads":
                    assert not any(attribute.ints)
                    attribute.ints[:] = [int(p) for p in (*before, *after)]
            node.input[0] = pad.input[0]
    used = {name for n in graph.node for name in n.input}
    for node in [n for n in graph.node if n.op_type == "Pad" and n.output[0] not in used]:
        graph.node.remove(node)


def gradients(model, x, labels):
    model.zero_grad()
    F.cross_entropy(model(x), labels).backward()
    return {name: p.grad.detach().clone() for name, p in model.named_parameters()}


def is_steady(model, x, labels):
    """Whether no corner is as near as rounding errors reach. The model is in double precision."""
    single = gradients(model.float(), x.float(), labels)
    exact = gradients(model.double(), x, labels)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    steady = all(relative(single[p], exact[p]) < 1e-4 for p in exact)
    for _ in range(2):
        if not steady:
            break
        with torch.no_grad():
            for p in model.parameters():
                p *= 1 + 2e-7 * torch.randn_like(p)
        found = gradients(model, x, labels)
        model.load_state_dict(state)
        steady = steady and all(relative(found[p], exact[p]) < 1e-4 for p in exact)
    return steady


def relative(found, reference):
    return float((found.double() - reference).norm() / reference.norm())


def save(path, tensors):
    """The safetensors format: the length of the header, the header, the numbers."""
    kinds = {np.dtype("float32"): "F32", np.dtype("float64"): "F64", np.dtype("int64"): "I64"}
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": kinds[array.dtype], "shape": array.shape,
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def prepare(folder, name, model, x, labels):
    path = folder / f"{name}.onnx"
    # PRESERVE: the exporter would fold constants by itself and lose the parameters' names.
    torch.onnx.export(model, x, path, opset_version=17, output_names=["logits"], input_names=["input"],
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    if name.endswith("-folded"):
        proto = onnx.load(path)
        fold_pads(proto, x.numpy())
        onnx.save(proto, path)
    single = gradients(model, x, labels)
    exact = gradients(model.double(), x.double(), labels)
    model.float()
    tensors = {"input": x.numpy(), "labels": labels.numpy()}
    tensors |= {f"gradient.{p}": g.numpy() for p, g in exact.items()}
    save(folder / f"{name}.safetensors", tensors)
    worst = max(exact, key=lambda p: relative(single[p], exact[p]))
    operators = sorted({n.op_type for n in onnx.load(path).graph.node})
    print(f"{name}: {len(exact)} parameters; PyTorch in single precision is off by up to "
          f"{relative(single[worst], exact[worst]):.1e} ({worst}); {', '.join(operators)}", flush=True)


def main():
    warnings.filterwarnings("ignore")
    arguments = [argument for argument in sys.argv[1:] if argument != "--small"]
    networks = SMALL if "--small" in sys.argv[1:] else NETWORKS
    folder, *names = arguments
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print(*(f"{module.__name__} {module.__version__}" for module in (torch, onnx, np)))
    for name in names or networks:
        make, side = networks[name]
        torch.manual_seed(1)
        model = make()
        labels = torch.arange(BATCH) % CLASSES
        with_random_statistics(model, torch.randn(8, 3, side, side))
        for variant in (name, f"{name}-folded"):
            if variant != name:
                fold(model)
            model.double()
            tries = 1
            x = torch.randn(BATCH, 3, side, side)
            while not is_steady(model, x.double(), labels):
                tries += 1
                if tries > MOST_TRIES:
                    sys.exit(f"{variant}: all of {MOST_TRIES} inputs put an activation at a corner")
                x = torch.randn(BATCH, 3, side, side)
            model.float()
            prepare(folder, variant, model, x, labels)
            print(f"  (input {tries})", flush=True)


if __name__ == "__main__":
    main()
