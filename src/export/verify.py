#!/usr/bin/env python3
"""Checks the models of this export on its golden images, in ONNX Runtime, LiteRT and TensorFlow for Python.

    pip install onnxruntime numpy "pillow>=10.1"      (ai-edge-litert for TensorFlow Lite, tensorflow for a frozen graph)
    python verify.py            checks
    python verify.py IMAGE…     classifies

For each image in golden/: the image becomes the golden input to within one level of 255 (Pillow), and each model says
of the golden input what golden.json expects. Ends with 1 if anything differs. Models whose runtime is not installed,
and those of other formats, are named and left out; `salamander verify` checks them.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

here = Path(__file__).resolve().parent
golden = json.loads((here / "golden" / "golden.json").read_text(encoding="utf-8"))
recipe = json.loads((here / "preprocess.json").read_text(encoding="utf-8"))
labels = (here / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
side = recipe["resolution_px"]
problems = []


def loaded(path):
    """The image in a file, upright, 8 bits a value, on white; README.txt names the few that Salamander reads otherwise."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # 16 bits
        image = Image.fromarray((np.asarray(image, np.float32) / 257 + 0.5).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def square(image):
    """Cut and resized as preprocess.json says."""
    if recipe["fit"] == "center_crop":
        cut = min(image.size)
        left, top = (image.width - cut) // 2, (image.height - cut) // 2
        return image.crop((left, top, left + cut, top + cut)).resize((side, side), Image.BILINEAR)
    if recipe["fit"] == "stretch":
        return image.resize((side, side), Image.BILINEAR)
    longer = max(image.size)
    inner = [max(1, (2 * length * side + longer) // (2 * longer)) for length in image.size]
    bars = Image.new("RGB", (side, side), tuple(recipe["bar_rgb"]))
    bars.paste(image.resize(inner, Image.BILINEAR), ((side - inner[0]) // 2, (side - inner[1]) // 2))
    return bars


def tensor(pixels, kind, given):
    """The input of a model, of a batch of one, and how large one level of 255 is in it."""
    if kind == "uint8_nhwc":
        return pixels[None], 1
    mean, std = (np.array(given.get(key, recipe[key]), np.float32) for key in ("mean", "std"))
    values = (pixels.astype(np.float32) - mean) / std
    if kind == "float32_nchw":
        values = np.ascontiguousarray(values.transpose(2, 0, 1))
    return values[None], 1 / std.min()


def opened(file, outputs, inputs):
    """A function from the input to the output of a model; None where there is no runtime for it."""
    try:
        if file.endswith(".onnx"):
            # It reports sessions to its maker otherwise.
            os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
            import onnxruntime

            session = onnxruntime.InferenceSession(str(here / file), providers=["CPUExecutionProvider"])
            return lambda x: session.run([outputs], {inputs: x})[0]
        if file.endswith(".tflite"):
            from ai_edge_litert.interpreter import Interpreter

            # The runner works on the interpreter's memory.
            interpreter = Interpreter(str(here / file))
            runner = interpreter.get_signature_runner()
            return lambda x: runner(**{inputs: x})[outputs]
        if (here / file / "output_graph.pb").is_file():
            import tensorflow

            definition = (here / file / "output_graph.pb").read_bytes()
            graph = tensorflow.Graph()
            with graph.as_default():
                tensorflow.import_graph_def(tensorflow.compat.v1.GraphDef.FromString(definition), name="")
            session = tensorflow.compat.v1.Session(graph=graph)
            return lambda x: session.run(f"{outputs}:0", {f"{inputs}:0": x})
    except ImportError:
        pass
    return None


if sys.argv[1:]:
    for model in golden["models"]:
        if run := opened(model["file"], model["output"]["name"], model["input"]["name"]):
            for path in sys.argv[1:]:
                pixels = np.asarray(square(loaded(path)))
                found = run(tensor(pixels, model["input"]["kind"], model["input"])[0])[0]
                answer = labels[found.argmax()]
                # Below this probability an image is none of the classes.
                if found.max() < recipe.get("unknown_below", 0):
                    answer = f"unknown (nearest: {answer})"
                print(f"{path}: {answer} {found.max():.4f}")
            sys.exit(0)
    sys.exit("there is nothing here that runs these models: install onnxruntime or ai-edge-litert")

checked = 0
if labels != golden["labels"]:
    problems.append("labels.txt and golden.json have different labels")
for model in golden["models"]:
    file = model["file"]
    run = opened(file, model["output"]["name"], model["input"]["name"])
    if run is None:
        print(f"{file}: not checked here")
        continue
    largest, same = 0.0, 0
    checked += len(golden["images"])
    for image in golden["images"]:
        kind = model["input"]["kind"]
        x = np.load(here / image["inputs"][kind])
        made, level = tensor(np.asarray(square(loaded(here / image["image"]))), kind, model["input"])
        apart = float(np.abs(made.astype(np.float32) - x.astype(np.float32)).max() / level)
        if apart > 1.01:
            problems.append(f"{file}: preprocessing {image['image']} does not give the expected input: they differ by {apart:.1f} levels of 255")
        found = run(x)
        expected = np.array(image["expected"][file], np.float32)
        difference = float(np.abs(found[0] - expected).max())
        # Not a number is the largest difference there is.
        largest = max(largest, float("inf") if np.isnan(difference) else difference)
        same += int(found[0].argmax() == expected.argmax())
    print(f"{file}: {same} of {len(golden['images'])} with the expected class, probabilities within {largest:.1e}")
    if not largest <= model["tolerance"]:
        problems.append(f"{file}: a probability differs by {largest:.1e}, more than {model['tolerance']:.0e}")
if not checked:
    problems.append("nothing was checked: install what runs these models, or use `salamander verify`")
for problem in problems:
    print(problem, file=sys.stderr)
print("NOT as expected" if problems else "as expected")
sys.exit(1 if problems else 0)
