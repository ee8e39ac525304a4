#!/usr/bin/env python3
"""Predicts pictures with an exported model, using nothing but what ships with the export.

    python tests/run_export.py EXPORT PICTURE…      (- reads the list of pictures from standard input)

Needs onnxruntime, numpy and Pillow. Follows preprocess.json to the letter and prints one JSON object
a picture: {"path": …, "class": …, "index": …, "probabilities": […]}.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def upright_rgb(path):
    """8-bit RGB, 16 bits reduced, turned as EXIF says, transparency laid on white."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            values = np.asarray(image, np.float32) / 257 + 0.5
            image = Image.fromarray(values.astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        return image.convert("RGB")


def square(image, recipe):
    """Cut and resized as the recipe's `fit` says."""
    side = recipe["resolution_px"]
    assert recipe["resize"] == {"filter": "bilinear", "antialias": True}
    width, height = image.size
    if recipe["fit"] == "center_crop":
        cut = min(width, height)
        left, top = (width - cut) // 2, (height - cut) // 2
        image = image.crop((left, top, left + cut, top + cut))
        return image.resize((side, side), Image.BILINEAR)
    if recipe["fit"] == "stretch":
        return image.resize((side, side), Image.BILINEAR)
    assert recipe["fit"] == "pad"
    longer = max(width, height)
    inner = [max(1, (2 * length * side + longer) // (2 * longer)) for length in (width, height)]
    bars = Image.new("RGB", (side, side), tuple(recipe["bar_rgb"]))
    place = ((side - inner[0]) // 2, (side - inner[1]) // 2)
    bars.paste(image.resize(inner, Image.BILINEAR), place)
    return bars


def tensor(image, recipe):
    pixels = np.asarray(image)
    kind = recipe["input"]["kind"]
    if kind == "uint8_nhwc":
        return pixels[None]
    assert kind == "float32_nchw"
    mean, std = (np.array(recipe[key], np.float32) for key in ("mean", "std"))
    values = (pixels.astype(np.float32) - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1))[None]


def main():
    export, *paths = sys.argv[1:]
    if paths == ["-"]:
        paths = [line.rstrip("\n") for line in sys.stdin]
    export = Path(export)
    recipe = json.loads((export / "preprocess.json").read_text(encoding="utf-8"))
    labels = (export / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert labels == recipe["labels"]
    session = onnxruntime.InferenceSession(export / "model.onnx", providers=["CPUExecutionProvider"])
    for path in paths:
        x = tensor(square(upright_rgb(path), recipe), recipe)
        (probabilities,) = session.run([recipe["output"]["name"]], {recipe["input"]["name"]: x})
        index = int(probabilities[0].argmax())
        line = {
            "path": path,
            "class": labels[index],
            "index": index,
            "probabilities": [float(p) for p in probabilities[0]],
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdin.reconfigure(encoding="utf-8")
    main()
