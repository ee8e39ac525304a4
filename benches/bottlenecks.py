"""The peer of the bottleneck benchmark: the loop one writes in Python, one picture after the other.

    python benches/bottlenecks.py MODEL RESOLUTION FOLDER

Pillow decodes and resizes, ONNX Runtime runs with its default threads. Prints pictures per second and milliseconds of processor time per picture.
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
started, cpu = time.perf_counter(), time.process_time()
for path in paths:
    bottleneck(path)
elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
print(len(paths) / elapsed, 1e3 * cpu / len(paths))
