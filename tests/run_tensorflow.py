#!/usr/bin/env python3
"""Runs frozen graphs in TensorFlow.

    python tests/run_tensorflow.py < LIST

Each line of LIST is a JSON object {"model": path, "input": path}: the input's bytes, as many as the graph's input takes.
For each line prints one JSON object: {"outputs": numbers}. A line with "image" instead of "input" has an image's file: it is
labelled as TensorFlow's own label_image.py does with the options --input_mean 128 --input_std 128 --input_layer input
--output_layer final_result, and {"outputs": numbers, "labels": texts} is printed, best first.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


def opened(path):
    definition = tf1.GraphDef()
    definition.ParseFromString(Path(path).read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition)
    # TensorFlow puts all names below "import", as label_image.py expects.
    (image,) = (op for op in graph.get_operations() if op.type == "Placeholder")
    read = {tensor.op.name for op in graph.get_operations() for tensor in op.inputs}
    (last,) = (op for op in graph.get_operations() if op.name not in read and op.type != "Const")
    return graph, image.outputs[0], last.outputs[0], tf1.Session(graph=graph)


def label_image(path, session, graph, side):
    """The steps of label_image.py: read, resize without antialiasing, (value - 128) / 128, squeeze, sort."""
    with tf.Graph().as_default():
        content = tf.io.read_file(path)
        image = tf.image.decode_png(content, channels=3) if path.endswith(".png") else tf.image.decode_jpeg(content, channels=3)
        resized = tf1.image.resize_bilinear(tf.expand_dims(tf.cast(image, tf.float32), 0), [side, side])
        with tf1.Session() as once:
            values = once.run(tf.divide(tf.subtract(resized, [128]), [128]))
    image = graph.get_operation_by_name("import/input")
    output = graph.get_operation_by_name("import/final_result")
    return np.squeeze(session.run(output.outputs[0], {image.outputs[0]: values}))


def main():
    path = None
    for line in sys.stdin:
        case = json.loads(line)
        if case["model"] != path:
            path = case["model"]
            graph, image, output, session = opened(path)
        if "image" in case:
            found = label_image(case["image"], session, graph, image.shape[1])
            labels = Path(path).with_name("output_labels.txt").read_text(encoding="utf-8").splitlines()
            order = found.argsort()[::-1]
            line = {"outputs": found[order].tolist(), "labels": [labels[at] for at in order]}
        else:
            values = np.frombuffer(Path(case["input"]).read_bytes(), image.dtype.as_numpy_dtype)
            found = session.run(output, {image: values.reshape([1, *image.shape[1:]])})
            line = {"outputs": found.ravel().tolist()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
