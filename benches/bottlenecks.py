"""The peer of the bottleneck benchmark: the loop one writes in Python, one picture after the other.

    python benches/bottlenecks.py MODEL RESOLUTION FOLDER

Pillow decodes and resizes, ONNX Runtime runs with its default threads. Prints pictures per second.
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

model, side, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
paths = sorted(folder.iterdir())


def bottleneck(path):
    image = Image.open(path).convert("RGB")
    cut = min(image.size)
    left, top = (image.width - cut) // 2, (image.height - cut) // 2
    image = image.crop((left, top, left + cut, top + cut)).resize((side, side), Image.BILINEAR)
    pixels = (np.asarray(image, np.float32) - 127) / 128
    x = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
    return session.run(["bottleneck"], {"input": x})[0]


bottleneck(paths[0])
started = time.perf_counter()
for path in paths:
    bottleneck(path)
print(len(paths) / (time.perf_counter() - started))
