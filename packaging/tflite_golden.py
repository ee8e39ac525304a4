#!/usr/bin/env python3
"""Runs the TensorFlow Lite models of an export on its golden inputs in one of the runtimes of tests/run_tflite.py.

    python packaging/tflite_golden.py RUNTIME EXPORT

Prints, for each model, on how many inputs the answer is the expected one and how far any probability is from it. Ends
with an error where an answer or a label is another (of int8 more than one in ten).
"""

import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import run_tflite  # noqa: E402


def main():
    name, export = sys.argv[1], pathlib.Path(sys.argv[2])
    golden = json.loads((export / "golden" / "golden.json").read_text(encoding="utf-8"))
    opened = run_tflite.runtime(name)
    wrong = 0
    files = [model["file"] for model in golden["models"] if model["file"].endswith(".tflite")]
    if not files:
        sys.exit(f"{export} holds no TensorFlow Lite model")
    for file in files:
        run = opened(str(export / file))
        same, identical, largest = 0, 0, 0.0
        for image in golden["images"]:
            found = run(np.load(export / image["inputs"]["uint8_nhwc"]).tobytes())
            outputs, expected = (np.array(values, np.float32) for values in (found["outputs"], image["expected"][file]))
            same += int(outputs.argmax() == expected.argmax() and found.get("labels", golden["labels"]) == golden["labels"])
            difference = float(np.abs(outputs - expected).max())
            identical += difference == 0.0
            largest = max(largest, difference)
        count = len(golden["images"])
        # Kernels for int8 of other versions round otherwise: an image that the model wavers over may get another answer.
        wrong += max(0, count - same - (count // 10 if "int8" in file else 0))
        print(f"{name:10} {file:18} same top-1 {same} of {count}, {identical} identical, largest difference {largest:.1e}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
