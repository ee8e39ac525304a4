#!/usr/bin/env python3
"""Proves that the ONNX backbones here compute what the original PyTorch networks compute.

    /usr/bin/python3 -m venv --system-site-packages /tmp/venv    # with PyTorch, e.g. Debian's python3-torch
    /tmp/venv/bin/pip install --no-deps onnxruntime==1.32.0 flatbuffers packaging protobuf
    /tmp/venv/bin/python models/prove.py PHOTOS [--dogs DIR --cats DIR] [--wheels DIR] [--only NAME]

PHOTOS is a folder of pictures, searched to any depth; the first 100 by path are used.
The network is built here once more, of PyTorch's own layers (convolutions, batch norm in inference mode,
EfficientNet's SAME padding computed from each layer's input), reads the weight file with
PyTorch's own reader, and shares with convert.py only the places of the downloads.

Checked for each network, or the script fails:
* on all photos, ONNX (fp32, ONNX Runtime) against PyTorch: the difference of the bottlenecks,
  relative to the length of the bottleneck and, entry by entry, to its largest entry, under 2e-3, and cosine over 0.9999, at every size
  the catalogue offers for the first photos and at the default size for all;
* the last feature map likewise, by its length (its single entries are printed);
* with --dogs / --cats: ONNX bottlenecks through the original 1000-class layer come out as one
  of ImageNet's dogs (151-268) for 95 %, as one of its cats (281-285) for 75 %.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from downloads import SOURCES, extract_weights

HERE = Path(__file__).resolve().parent
MAX_RELATIVE_DIFFERENCE = 2e-3
MIN_COSINE = 0.9999
PHOTOS = 100
PHOTOS_AT_OTHER_SIZES = 5
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}

# How often each stage repeats its block and how many channels it gives, as published for each
# network: (repeats, channels) after width and depth scaling. Kernel, stride and expansion are
# the same for all.
STRUCTURE = {
    "efficientnet-lite0": [(1, 16), (2, 24), (2, 40), (3, 80), (3, 112), (4, 192), (1, 320)],
    "efficientnet-lite1": [(1, 16), (3, 24), (3, 40), (4, 80), (4, 112), (5, 192), (1, 320)],
    "efficientnet-lite2": [(1, 16), (3, 24), (3, 48), (4, 88), (4, 120), (5, 208), (1, 352)],
}
KERNELS = [3, 3, 5, 3, 5, 5, 3]
STRIDES = [1, 2, 2, 2, 1, 2, 1]
EXPANSIONS = [1, 6, 6, 6, 6, 6, 6]


class SameConv(nn.Conv2d):
    """A convolution that pads like TensorFlow's SAME: what is odd goes to the end."""

    def forward(self, x):
        padding = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride)):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, padding))


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class EfficientNetBlock(nn.Module):
    def __init__(self, channels_in, channels_out, kernel, stride, expansion):
        super().__init__()
        middle = channels_in * expansion
        self.expands = expansion != 1
        self.skips = stride == 1 and channels_in == channels_out
        if self.expands:
            self._expand_conv = SameConv(channels_in, middle, 1, bias=False)
            self._bn0 = norm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, stride, groups=middle, bias=False)
        self._bn1 = norm(middle)
        self._project_conv = SameConv(middle, channels_out, 1, bias=False)
        self._bn2 = norm(channels_out)

    def forward(self, x):
        y = x
        if self.expands:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class EfficientNet(nn.Module):
    """The whole network with its 1000-class layer; names as in the weight file."""

    def __init__(self, stages):
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = norm(32)
        blocks = []
        channels_in = 32
        for (repeats, channels), kernel, stride, expansion in zip(stages, KERNELS, STRIDES, EXPANSIONS):
            for index in range(repeats):
                blocks.append(EfficientNetBlock(channels_in, channels, kernel, stride if index == 0 else 1, expansion))
                channels_in = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(channels_in, 1280, 1, bias=False)
        self._bn1 = norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        features = functional.relu6(self._bn1(self._conv_head(x)))
        return features, features.mean(dim=(2, 3))

    @property
    def classifier_layer(self):
        return self._fc


def mobilenet_layer(channels_in, channels_out, kernel, stride, groups=1):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(),
    )


class MobileNetBlock(nn.Module):
    def __init__(self, channels_in, channels_out, stride, expansion):
        super().__init__()
        middle = channels_in * expansion
        self.skips = stride == 1 and channels_in == channels_out
        layers = [mobilenet_layer(channels_in, middle, 1, 1)] if expansion != 1 else []
        layers.append(mobilenet_layer(middle, middle, 3, stride, groups=middle))
        layers += [nn.Conv2d(middle, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.skips else self.conv(x)


class MobileNetV2(nn.Module):
    """The whole network with its 1000-class layer (table 2 of the publication); names as in the weight file."""

    def __init__(self, stages):
        super().__init__()
        layers = [mobilenet_layer(3, 32, 3, 2)]
        channels_in = 32
        for expansion, channels, repeats, stride in stages:
            for index in range(repeats):
                layers.append(MobileNetBlock(channels_in, channels, stride if index == 0 else 1, expansion))
                channels_in = channels
        layers.append(mobilenet_layer(channels_in, 1280, 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x):
        features = self.features(x)
        return features, functional.adaptive_avg_pool2d(features, 1).flatten(1)

    @property
    def classifier_layer(self):
        return self.classifier[1]


def build(name):
    if name == "mobilenet-v2":
        return MobileNetV2(
            [
                (1, 16, 1, 1),
                (6, 24, 2, 2),
                (6, 32, 3, 2),
                (6, 64, 4, 2),
                (6, 96, 3, 1),
                (6, 160, 3, 2),
                (6, 320, 1, 1),
            ]
        )
    return EfficientNet(STRUCTURE[name])


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def load(path: Path, resolution: int, normalisation: dict) -> np.ndarray:
    """Centre square of resolution/(resolution+32) of the shorter side, bicubic; f32 [1,3,H,W]."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        side = min(image.size) * resolution / (resolution + 32)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((resolution, resolution), Image.BICUBIC, box=box)
    mean, std = (np.float32(normalisation[name]) for name in ("mean", "std"))
    pixels = (np.asarray(image, dtype=np.float32) - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def difference(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Relative difference |a-b|/|b| and cosine, both in 64-bit."""
    a, b = found.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    return np.linalg.norm(a - b) / np.linalg.norm(b), a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


class Worst:
    def __init__(self):
        self.relative, self.cosine, self.largest = 0.0, 1.0, 0.0

    def add(self, found, expected):
        relative, cosine = difference(found, expected)
        self.relative, self.cosine = max(self.relative, relative), min(self.cosine, cosine)
        self.largest = max(self.largest, float(np.abs(found - expected).max() / np.abs(expected).max()))

    def holds(self, entries=True):
        relative = max(self.relative, self.largest) if entries else self.relative
        return relative < MAX_RELATIVE_DIFFERENCE and self.cosine > MIN_COSINE

    def __str__(self):
        return f"relative difference {self.relative:.2e} (largest entry {self.largest:.2e}), cosine {self.cosine:.7f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--dogs", type=Path)
    parser.add_argument("--cats", type=Path)
    parser.add_argument("--wheels", type=Path, help="folder with the wheels; else they are downloaded")
    parser.add_argument("--only", help="the name of one network")
    options = parser.parse_args()
    photos = pictures(options.photos)[:PHOTOS]
    if len(photos) < PHOTOS:
        sys.exit(f"{options.photos} has {len(photos)} pictures; the proof wants {PHOTOS}")
    catalogue = {item["name"]: item for item in json.loads((HERE / "catalogue.json").read_text())["backbones"]}
    failures = []

    def check(holds: bool, line: str):
        print(f"  {'ok  ' if holds else 'FAIL'} {line}", flush=True)
        if not holds:
            failures.append(line)

    with tempfile.TemporaryDirectory() as temporary, torch.no_grad():
        for source in SOURCES:
            if options.only not in (None, source.name):
                continue
            facts = catalogue[source.name]
            path = extract_weights(source, options.wheels or Path(temporary), Path(temporary))
            network = build(source.name).eval()
            network.load_state_dict(torch.load(path, map_location="cpu"), strict=True)
            session = onnxruntime.InferenceSession(HERE / facts["file"], providers=["CPUExecutionProvider"])
            resolution = facts["default_resolution"]
            print(f"{source.name}")

            def compare(size, paths):
                features, bottlenecks = Worst(), Worst()
                for photo in paths:
                    pixels = load(photo, size, facts["normalisation"])
                    found_map, found = session.run(["features", "bottleneck"], {"input": pixels})
                    map_expected, expected = network(torch.from_numpy(pixels))
                    features.add(found_map, map_expected.numpy())
                    bottlenecks.add(found, expected.numpy())
                check(bottlenecks.holds(), f"bottleneck, {len(paths)} photos at {size}: {bottlenecks}")
                check(features.holds(entries=False), f"features,   {len(paths)} photos at {size}: {features}")

            compare(resolution, photos)
            for size in facts["resolutions"]:
                if size != resolution:
                    compare(size, photos[:: PHOTOS // PHOTOS_AT_OTHER_SIZES])

            layer, bias = (part.numpy() for part in (network.classifier_layer.weight, network.classifier_layer.bias))
            for what, folder, low, high, wanted in (
                ("dogs", options.dogs, 151, 268, 0.95),
                ("cats", options.cats, 281, 285, 0.75),
            ):
                if folder is None:
                    continue
                tops = []
                for photo in pictures(folder):
                    pixels = load(photo, resolution, facts["normalisation"])
                    (found,) = session.run(["bottleneck"], {"input": pixels})
                    tops.append(int((found[0] @ layer.T + bias).argmax()))
                hits = sum(low <= top <= high for top in tops)
                check(
                    hits >= wanted * len(tops) and len(tops) > 0,
                    f"{what}: {hits} of {len(tops)} ({100 * hits / max(len(tops), 1):.1f} %) in classes {low}-{high}",
                )

            one = load(photos[0], resolution, facts["normalisation"])
            start = time.perf_counter()
            for _ in range(30):
                session.run(["bottleneck"], {"input": one})
            print(f"       {30 / (time.perf_counter() - start):.0f} images/s, all cores, batch 1")
    if failures:
        sys.exit(f"{len(failures)} checks failed")
    print("every check holds")


if __name__ == "__main__":
    main()
