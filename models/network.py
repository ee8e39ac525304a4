"""Builds the graph of a network from layers with batch norm, as the head of convert.py describes it."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from downloads import Source

OPSET = 17
IR_VERSION = 8


@dataclass
class Network:
    """What is known of a network, apart from its layers."""

    source: Source
    trained_resolution: int
    default_resolution: int
    resolutions: list[int]
    # Per channel, in units of 0..255.
    mean: list[float]
    std: list[float]
    # ImageNet top-1 of the whole fp32 network, in percent, and who says so.
    top1_percent: float
    top1_source: str
    licence: str
    licence_file: str
    # The normalisation in words, for the model's own metadata.
    input_in_words: str

    @property
    def name(self) -> str:
        return self.source.name


def stays_f32(node: str, depthwise: bool) -> bool:
    """Whether a convolution's weights are too delicate for fp16; see the head of convert.py."""
    if depthwise or node == "stem":
        return True
    if not node.startswith("blocks."):
        return False
    _, stage, index, part = node.split(".")
    return int(stage) <= 2 or (int(stage) <= 5 and index == "0" and part == "project")


class Builder:
    """Collects nodes and initialisers; folds batch norm as it goes.

    `epsilon` is that of the batch norm. Padding is (k-1)/2 on each side if `symmetric`, else TensorFlow's SAME.
    """

    def __init__(self, weights: dict[str, np.ndarray], epsilon: float, symmetric: bool):
        self.weights = weights
        self.epsilon = epsilon
        self.symmetric = symmetric
        self.used: set[str] = set()
        self.nodes = []
        self.initialisers = []
        for name, value in (("relu6.min", 0.0), ("relu6.max", 6.0)):
            self.initialisers.append(numpy_helper.from_array(np.float32(value), name))

    def _take(self, name: str) -> np.ndarray:
        self.used.add(name)
        return self.weights[name].astype(np.float64)

    def conv(self, x, node, source_conv, source_norm, *, kernel, stride, depthwise, activate, output=None):
        """One convolution with its batch norm and, if asked, its ReLU6. Returns the value's name."""
        weight = self._take(f"{source_conv}.weight")
        gamma, beta, mean, variance = (
            self._take(f"{source_norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + self.epsilon)
        bias = (beta - mean * scale).astype(np.float32)
        if weight.shape[2:] != (kernel, kernel):
            raise ValueError(f"{node}: the kernel is {weight.shape[2:]}, not {kernel}")

        if self.symmetric:
            before = after = (kernel - 1) // 2
        else:
            before = (kernel - stride) // 2
            after = kernel - stride - before
        folded = weight * scale[:, None, None, None]
        if stays_f32(node, depthwise):
            self.initialisers.append(numpy_helper.from_array(folded.astype(np.float32), f"{node}.weight"))
        else:
            half = folded.astype(np.float16)
            if not np.isfinite(half).all():
                raise ValueError(f"{node}: a folded weight does not fit into fp16")
            self.initialisers.append(numpy_helper.from_array(half, f"{node}.weight.f16"))
            cast = helper.make_node(
                "Cast", [f"{node}.weight.f16"], [f"{node}.weight"], name=f"{node}.weight.cast", to=TensorProto.FLOAT
            )
            self.nodes.append(cast)
        self.initialisers.append(numpy_helper.from_array(bias, f"{node}.bias"))
        value = node if activate else (output or node)
        self.nodes.append(
            helper.make_node(
                "Conv",
                [x, f"{node}.weight", f"{node}.bias"],
                [value],
                name=node,
                kernel_shape=[kernel, kernel],
                strides=[stride, stride],
                pads=[max(before, 0), max(before, 0), max(after, 0), max(after, 0)],
                group=weight.shape[0] if depthwise else 1,
            )
        )
        if not activate:
            return value
        activated = output or f"{node}.act"
        self.nodes.append(
            helper.make_node("Clip", [node, "relu6.min", "relu6.max"], [activated], name=f"{node}.act")
        )
        return activated

    def inverted_residual(self, x, node, sources, *, kernel, stride, expands, skips):
        """Expansion, depthwise convolution, projection; `sources` has the names of the convolution and the batch norm
        of each. Returns the value's name, which is `node`."""
        y = x
        parts = iter(sources)
        if expands:
            y = self.conv(
                y, f"{node}.expand", *next(parts), kernel=1, stride=1, depthwise=False, activate=True
            )
        y = self.conv(
            y, f"{node}.depthwise", *next(parts), kernel=kernel, stride=stride, depthwise=True, activate=True
        )
        y = self.conv(
            y, f"{node}.project", *next(parts), kernel=1, stride=1, depthwise=False, activate=False,
            output=None if skips else node,
        )
        if skips:
            self.nodes.append(helper.make_node("Add", [y, x], [node], name=f"{node}.add"))
        return node

    def finish(self, network: Network, features: str, dimension: int, head: str) -> onnx.ModelProto:
        """Pools the last feature map, `features`, and makes the model. `head` begins the names of the weights that
        are left out; any other weight that found no place is an error."""
        self.nodes.append(helper.make_node("GlobalAveragePool", [features], ["pool"], name="pool"))
        self.nodes.append(helper.make_node("Flatten", ["pool"], ["bottleneck"], name="flatten", axis=1))
        unused = {
            name
            for name in self.weights
            if name not in self.used and not name.startswith(head) and not name.endswith("num_batches_tracked")
        }
        if unused:
            raise ValueError(f"{network.name}: weights that found no place: {sorted(unused)}")
        graph = helper.make_graph(
            self.nodes,
            network.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, "H", "W"])],
            [
                helper.make_tensor_value_info(
                    "features", TensorProto.FLOAT, ["N", dimension, "H_over_32", "W_over_32"]
                ),
                helper.make_tensor_value_info("bottleneck", TensorProto.FLOAT, ["N", dimension]),
            ],
            self.initialisers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="salamander models/convert.py",
        )
        helper.set_model_props(
            model,
            {
                "name": network.name,
                "licence": network.licence,
                "source": network.source.published,
                "input": f"RGB, NCHW, {network.input_in_words}, height and width multiples of 32",
            },
        )
        onnx.checker.check_model(model, full_check=True)
        return model
