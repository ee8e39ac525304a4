#!/usr/bin/env python3
"""Runs TensorFlow Lite models in other people's runtimes.

    python tests/run_tflite.py RUNTIME < LIST

RUNTIME is litert (ai-edge-litert), reference (the same without XNNPACK and with kernels that are not optimised), tflite
(tflite-runtime), mediapipe or task (tflite-support), or operators: that only says what LiteRT has loaded. Each line of
LIST is a JSON object {"model": path, "input": path}: the input's bytes, as many as the model's input takes. For each line
prints one JSON object: {"outputs": numbers} or, where the runtime looks for labels itself, also {"labels": texts}; of
operators {"operators": a list of [name, types of what it reads and makes]}.
"""

import atexit
import json
import sys

import numpy as np


def interpreter(module, **how):
    def opened(model):
        network = module.Interpreter(model, num_threads=1, **how)
        network.allocate_tensors()
        (image,), (output,) = network.get_input_details(), network.get_output_details()

        def run(data):
            network.set_tensor(image["index"], np.frombuffer(data, image["dtype"]).reshape(image["shape"]))
            network.invoke()
            return {"outputs": network.get_tensor(output["index"]).ravel().tolist()}

        return run

    return opened


def operators():
    from ai_edge_litert import interpreter as module

    def opened(model):
        plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        network = module.Interpreter(model, experimental_op_resolver_type=plain)
        network.allocate_tensors()
        types = {tensor["index"]: np.dtype(tensor["dtype"]).name for tensor in network.get_tensor_details()}
        listed = [
            [operator["op_name"], *(types[place] for place in [*operator["inputs"], *operator["outputs"]])]
            for operator in network._get_ops_details()
        ]
        return lambda data: {"operators": listed}

    return opened


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

    def opened(model):
        options = vision.ImageClassifierOptions(base_options=python.BaseOptions(model_asset_path=model), max_results=-1)
        classifier = vision.ImageClassifier.create_from_options(options)
        # Left to the end of the program it finds parts of its own module gone: a TypeError after all answers.
        atexit.register(classifier.close)

        def run(data):
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=square(data))
            return in_order(classifier.classify(image).classifications[0].categories)

        return run

    return opened


def task():
    from tflite_support.task import core, processor, vision

    def opened(model):
        options = vision.ImageClassifierOptions(core.BaseOptions(file_name=model), processor.ClassificationOptions())
        classifier = vision.ImageClassifier.create_from_options(options)

        def run(data):
            # The runtime reads the array's memory, which must outlive the image.
            pixels = square(data)
            image = vision.TensorImage.create_from_array(pixels)
            return in_order(classifier.classify(image).classifications[0].categories)

        return run

    return opened


def runtime(name):
    if name == "litert":
        from ai_edge_litert import interpreter as module

        return interpreter(module)
    if name == "reference":
        from ai_edge_litert import interpreter as module

        return interpreter(module, experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF)
    if name == "tflite":
        from tflite_runtime import interpreter as module

        return interpreter(module)
    return {"mediapipe": mediapipe, "task": task, "operators": operators}[name]()


def main():
    opened = runtime(sys.argv[1])
    path, run = None, None
    for line in sys.stdin:
        case = json.loads(line)
        if case["model"] != path:
            path, run = case["model"], opened(case["model"])
        with open(case["input"], "rb") as file:
            print(json.dumps(run(file.read())), flush=True)


if __name__ == "__main__":
    main()
