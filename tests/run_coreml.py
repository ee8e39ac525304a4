#!/usr/bin/env python3
"""Runs Core ML packages without a Mac: Apple's coremltools reads them, NumPy computes.

    python tests/run_coreml.py < LIST

Each line of LIST is a JSON object {"model": path, "input": path}: the pixels of an RGB image, as many bytes as the model's image
has. coremltools loads the model with its own inference of types and shapes, which must agree with what the file says; then each
operation is computed as coremltools' documentation says it, 16-bit ones rounded to 16 bits. For each line prints one JSON object:
{"outputs": numbers, "labels": texts, "operations": names}.
"""

import contextlib
import json
import math
import os
import sys
from pathlib import Path

import numpy as np

# It says that this is no Mac.
with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
    import coremltools
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.converters.mil.mil import types


def scalar(value):
    return None if value is None else np.asarray(value).item()


def windows(x, taps, op, fill):
    """[N, C, H', W', h, w]: the pixels under each window; `fill` where there is padding."""
    strides = [1, 1] if op.strides is None else list(op.strides.val)
    dilations = list(op.dilations.val) if "dilations" in op.inputs and op.dilations is not None else [1, 1]
    kind = op.pad_type.val
    assert kind in ("valid", "custom"), kind
    pads = list(op.pad.val) if kind == "custom" else [0] * 4
    x = np.pad(x, [(0, 0), (0, 0), pads[:2], pads[2:]], constant_values=fill)
    reach = [(tap - 1) * dilation + 1 for tap, dilation in zip(taps, dilations)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    return view[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def conv(op, x, weight, bias=None, **_):
    groups = int(scalar(op.groups.val))
    under = windows(x, weight.shape[2:], op, 0)
    n, channels, height, width = under.shape[:4]
    if channels == groups and weight.shape[0] == groups:
        y = np.einsum("chwij,cij->chw", under[0], weight[:, 0])[None]
    else:
        apart = under.reshape(n, groups, channels // groups, height, width, *weight.shape[2:])
        kernels = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
        parts = [np.tensordot(apart[0, g], kernels[g], axes=([0, 3, 4], [1, 2, 3])) for g in range(groups)]
        y = np.concatenate(parts, axis=2).transpose(2, 0, 1)[None]
    return y if bias is None else y + bias[:, None, None]


def pool(op, x, take):
    assert not scalar(op.ceil_mode.val)
    taps = list(op.kernel_sizes.val)
    if take == "max":
        return windows(x, taps, op, -np.inf).max((4, 5))
    total = windows(x, taps, op, 0).sum((4, 5))
    if scalar(op.exclude_padding_from_average.val):
        return total / windows(np.ones_like(x), taps, op, 0).sum((4, 5))
    return total / np.prod(taps)


def reduce(function):
    return lambda op, x, **_: function(x, axis=tuple(op.axes.val), keepdims=bool(scalar(op.keep_dims.val)))


def softmax(op, x, **_):
    e = np.exp(x - x.max(scalar(op.axis.val), keepdims=True))
    return e / e.sum(scalar(op.axis.val), keepdims=True)


def cut(op, x, **_):
    parts = zip(op.begin.val, op.end.val, op.stride.val)
    return x[tuple(slice(int(begin), int(end), int(step)) for begin, end, step in parts)]


def pad(op, x, **_):
    assert op.mode.val == "constant"
    pairs = np.array(op.pad.val).reshape(-1, 2).tolist()
    return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, constant_values=scalar(op.constant_val.val))


def erf(op, x, **_):
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def gelu(op, x, **_):
    if op.mode.val == "TANH_APPROXIMATION":
        return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(op, x / np.sqrt(2))) / 2


def layer_norm(op, x, gamma, beta):
    axes = tuple(op.axes.val)
    centred = x - x.mean(axes, keepdims=True)
    variance = (centred**2).mean(axes, keepdims=True)
    return centred / np.sqrt(variance + scalar(op.epsilon.val)) * gamma + beta


def transposed(value, flag):
    return np.swapaxes(value, -1, -2) if scalar(flag.val) else value


OPERATIONS = {
    "conv": conv,
    "max_pool": lambda op, x, **_: pool(op, x, "max"),
    "avg_pool": lambda op, x, **_: pool(op, x, "mean"),
    "linear": lambda op, x, weight, bias=0, **_: x @ weight.T + bias,
    "matmul": lambda op, x, y, **_: transposed(x, op.transpose_x) @ transposed(y, op.transpose_y),
    "add": lambda op, x, y: x + y,
    "sub": lambda op, x, y: x - y,
    "mul": lambda op, x, y: x * y,
    "real_div": lambda op, x, y: x / y,
    "maximum": lambda op, x, y: np.maximum(x, y),
    "minimum": lambda op, x, y: np.minimum(x, y),
    "relu": lambda op, x: np.maximum(x, 0),
    "relu6": lambda op, x: np.clip(x, 0, 6),
    "clip": lambda op, x, **_: np.clip(x, scalar(op.alpha.val), scalar(op.beta.val)),
    "leaky_relu": lambda op, x, **_: np.where(x >= 0, x, x * scalar(op.alpha.val)),
    "prelu": lambda op, x, alpha: np.where(x >= 0, x, x * alpha.reshape(-1, *[1] * (x.ndim - 2))),
    "sigmoid": lambda op, x: 1 / (1 + np.exp(-x)),
    "sigmoid_hard": lambda op, x, **_: np.clip(x * scalar(op.alpha.val) + scalar(op.beta.val), 0, 1),
    "tanh": lambda op, x: np.tanh(x),
    "gelu": gelu,
    "erf": erf,
    "layer_norm": layer_norm,
    "exp": lambda op, x: np.exp(x),
    "log": lambda op, x, **_: np.log(x + scalar(op.epsilon.val)),
    "sqrt": lambda op, x: np.sqrt(x),
    "abs": lambda op, x: np.abs(x),
    "softmax": softmax,
    "reduce_mean": reduce(np.mean),
    "reduce_sum": reduce(np.sum),
    "reduce_max": reduce(np.max),
    "reduce_min": reduce(np.min),
    "reshape": lambda op, x, **_: x.reshape([int(length) for length in op.shape.val]),
    "transpose": lambda op, x, **_: x.transpose(op.perm.val),
    "slice_by_index": cut,
    "pad": pad,
    "cast": lambda op, x, **_: x,
    "concat": lambda op, values, **_: np.concatenate(values, scalar(op.axis.val)),
}
NUMBERS = {types.fp16: np.float16, types.fp32: np.float32}


def opened(path):
    spec = coremltools.utils.load_spec(path)
    weights = Path(path) / "Data" / "com.apple.CoreML" / "weights"
    program = load(spec, spec.specificationVersion, str(weights))
    main = program.functions["main"]
    (image,) = spec.description.input
    kind = image.type.imageType
    assert kind.colorSpace == kind.RGB
    assert list(main.inputs) == [image.name]
    assert list(main.inputs.values())[0].shape == (1, 3, kind.height, kind.width)
    assert [output.name for output in spec.description.output] == ["classLabel", "classLabel_probs"]
    return spec, main


def run(spec, main, pixels):
    kind = spec.description.input[0].type.imageType
    image = np.frombuffer(pixels, np.uint8).reshape(1, kind.height, kind.width, 3)
    known = {next(iter(main.inputs)): image.transpose(0, 3, 1, 2).astype(np.float32)}

    def value(var):
        if isinstance(var, (list, tuple)):
            return [value(one) for one in var]
        found = known[var.name] if var.name in known else var.val
        return found.astype(np.float32) if isinstance(found, np.ndarray) and found.dtype == np.float16 else found

    names = []
    for op in main.operations:
        if op.op_type == "const":
            continue
        names.append(op.op_type)
        if op.op_type == "classify":
            return {"outputs": value(op.probabilities).ravel().tolist(), "labels": [str(label.val) for label in op.classes.val] if hasattr(op.classes.val[0], "val") else list(map(str, op.classes.val)), "operations": names}
        tensors = ("x", "y", "weight", "bias", "values", "gamma", "beta") + (("alpha",) if op.op_type == "prelu" else ())
        inputs = {key: value(var) for key, var in op.inputs.items() if key in tensors and var is not None}
        (output,) = op.outputs
        with np.errstate(all="ignore"):
            found = np.asarray(OPERATIONS[op.op_type](op, **inputs))
            found = found.astype(NUMBERS[output.dtype])
        assert found.shape == tuple(output.shape), (op.name, found.shape, output.shape)
        known[output.name] = found
    raise AssertionError("no classify")


def main():
    path = None
    for line in sys.stdin:
        case = json.loads(line)
        if case["model"] != path:
            path = case["model"]
            spec, function = opened(path)
        print(json.dumps(run(spec, function, Path(case["input"]).read_bytes())), flush=True)


if __name__ == "__main__":
    main()
