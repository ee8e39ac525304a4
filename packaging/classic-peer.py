#!/usr/bin/env python3
"""Holds the classic preset against softmax regression that shares no code with it.

    python3 -m venv V && V/bin/pip install numpy==2.3.5 scikit-learn==1.7.2 safetensors==0.7.0
    V/bin/python packaging/classic-peer.py PROGRAM PROJECT [SPLITS]

Trains SPLITS runs (five) of PROJECT with --preset classic, each on another split, a fifth of the images for the test. On the same
bottlenecks and the same split it then does in NumPy what retrain.py's graph did (class first, then an image of it; plain descent at 0.01;
4,000 steps of 100; the weights best by validation), and fits scikit-learn's logistic regression, its strength chosen
by validation. Prints the three accuracies on the test images, in per cent."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression

program, project = sys.argv[1], Path(sys.argv[2])
splits = int(sys.argv[3]) if len(sys.argv) > 3 else 5


def salamander(*line):
    out = subprocess.run([program, *line, "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def descent(x, y, valid_x, valid_y, classes, seed):
    draw = np.random.default_rng(seed)
    w = np.clip(draw.normal(0, 0.001, (x.shape[1], classes)), -0.002, 0.002)
    b = np.zeros(classes)
    rows = [np.flatnonzero(y == c) for c in range(classes)]
    best, kept = (-1.0, 0.0), None
    for step in range(1, 4001):
        batch = np.array([draw.choice(rows[c]) for c in draw.integers(0, classes, 100)])
        d = softmax(x[batch] @ w + b)
        d[np.arange(100), y[batch]] -= 1
        w -= 0.01 * x[batch].T @ d / 100
        b -= 0.01 * d.mean(axis=0)
        if step % 10 == 0:
            p = softmax(valid_x @ w + b)
            loss = -np.log(np.maximum(p[np.arange(len(valid_y)), valid_y], 1e-12)).mean()
            now = ((p.argmax(axis=1) == valid_y).mean(), -loss)
            if now > best:
                best, kept = now, (w.copy(), b.copy())
    return kept


features = project / "classic-peer.safetensors"
salamander("features", str(project), "--fit", "stretch", "--out", str(features))
with safe_open(features, "np") as file:
    x_all = file.get_tensor("features").astype(np.float64)
    place = {path: at for at, path in enumerate(json.loads(file.metadata()["paths"]))}
features.unlink()

table = []
for split in range(splits):
    said = salamander("train", str(project), "--preset", "classic", "--testing-percentage", "20", "--split-seed", str(split))
    frames = [json.loads(line) for line in (project / "runs" / said["run"] / "frames.jsonl").read_text().splitlines()]
    side = lambda name: [f for f in frames if f["split"] == name]
    xy = {s: (x_all[[place[f["path"]] for f in side(s)]], np.array([f["class"] for f in side(s)])) for s in ("train", "validation", "test")}
    (x, y), (vx, vy), (tx, ty) = xy["train"], xy["validation"], xy["test"]
    classes = int(max(y.max(), ty.max())) + 1
    w, b = descent(x, y, vx, vy, classes, split)
    by_hand = ((tx @ w + b).argmax(axis=1) == ty).mean()
    fits = [LogisticRegression(C=c, max_iter=2000).fit(x, y) for c in (0.003, 0.01, 0.03, 0.1, 0.3)]
    tuned = max(fits, key=lambda fit: fit.score(vx, vy)).score(tx, ty)
    table.append([100 * said["test_accuracy"], 100 * by_hand, 100 * tuned])
    print(f"split {split}, {len(ty)} test images: classic {table[-1][0]:.2f}, softmax regression {table[-1][1]:.2f}, tuned logistic regression {table[-1][2]:.2f}", flush=True)
mean = np.mean(table, axis=0)
print(f"mean: classic {mean[0]:.2f}, softmax regression {mean[1]:.2f}, tuned logistic regression {mean[2]:.2f}")
