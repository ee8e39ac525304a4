#!/usr/bin/env python3
"""Runs TensorFlow Lite models in other people's runtimes.

    python tests/run_tflite.py RUNTIME < LIST

RUNTIME is litert (ai-edge-litert), tflite (tflite-runtime), mediapipe or task (tflite-support). Each line of LIST is
a JSON object {"model": path, "input": path}: the input's bytes, as many as the model's input takes. For each line
prints one JSON object: {"outputs": numbers} or, where the runtime looks for labels itself, also {"labels": texts}.
"""

import json
import sys

import numpy as np


def interpreter(module):
    def run(model, data):
        network = module.Interpreter(model, num_threads=1)
        network.allocate_tensors()
        (image,), (output,) = network.get_input_details(), network.get_output_details()
        network.set_tensor(image["index"], np.frombuffer(data, image["dtype"]).reshape(image["shape"]))
        network.invoke()
        return {"outputs": network.get_tensor(output["index"]).ravel().tolist()}

    return run


def square(data):
    side = int((len(data) // 3) ** 0.5)
    return np.frombuffer(data, np.uint8).reshape(side, side, 3).copy()


def in_order(categories):
    by_index = sorted(categories, key=lambda category: category.index)
    return {
        "outputs": [category.score for category in by_index],
        "labels": [category.category_name for category in by_index],
    }


def mediapipe():
    import mediapipe
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    def run(model, data):
        options = vision.ImageClassifierOptions(base_options=python.BaseOptions(model_asset_path=model), max_results=-1)
        with vision.ImageClassifier.create_from_options(options) as classifier:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=square(data))
            return in_order(classifier.classify(image).classifications[0].categories)

    return run


def task():
    from tflite_support.task import core, processor, vision

    def run(model, data):
        options = vision.ImageClassifierOptions(core.BaseOptions(file_name=model), processor.ClassificationOptions())
        classifier = vision.ImageClassifier.create_from_options(options)
        image = square(data)
        return in_order(classifier.classify(vision.TensorImage.create_from_array(image)).classifications[0].categories)

    return run


def runtime(name):
    if name == "litert":
        from ai_edge_litert import interpreter as module

        return interpreter(module)
    if name == "tflite":
        from tflite_runtime import interpreter as module

        return interpreter(module)
    return {"mediapipe": mediapipe, "task": task}[name]()


def main():
    run = runtime(sys.argv[1])
    for line in sys.stdin:
        case = json.loads(line)
        with open(case["input"], "rb") as file:
            print(json.dumps(run(case["model"], file.read())), flush=True)


if __name__ == "__main__":
    main()
