"""EfficientNet-Lite 0 to 2 (Tan & Le 2019).

The Lite variants have no squeeze-and-excite, ReLU6, and a stem and head that are not scaled:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from dataclasses import dataclass

import numpy as np
import onnx

from downloads import EFFICIENTNET_LITE
from network import Builder, Network

BATCH_NORM_EPSILON = 1e-3
STEM_CHANNELS = 32

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


@dataclass
class Variant(Network):
    """One network of the family."""

    width: float
    depth: float


def variant(number, width, depth, trained_resolution, default_resolution, top1_percent) -> Variant:
    return Variant(
        source=EFFICIENTNET_LITE[number],
        trained_resolution=trained_resolution,
        default_resolution=default_resolution,
        resolutions=list(range(96, 321, 32)),
        mean=[127.0, 127.0, 127.0],
        std=[128.0, 128.0, 128.0],
        top1_percent=top1_percent,
        top1_source=(
            "https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/README.md"
            f" (fp32, ImageNet validation set), at {trained_resolution}x{trained_resolution}"
        ),
        licence="Apache-2.0",
        licence_file="LICENSE",
        input_in_words="(x-127)/128",
        width=width,
        depth=depth,
    )


# Lite1 and Lite2 were trained at 240 and 260, which are no multiples of 32; their default is 256.
VARIANTS = [
    variant(0, 1.0, 1.0, 224, 224, 75.1),
    variant(1, 1.0, 1.1, 240, 256, 76.7),
    variant(2, 1.1, 1.2, 260, 256, 77.6),
]


def scaled_channels(channels: int, width: float) -> int:
    """Width scaling: to the nearest multiple of 8, never more than 10 % down."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def scaled_repeats(repeats: int, depth: float, stage: int) -> int:
    """Depth scaling: up; the first and the last stage are not scaled in the Lite family."""
    return repeats if stage in (0, len(STAGES) - 1) else int(np.ceil(repeats * depth))


def build(variant: Variant, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    builder = Builder(weights, epsilon=BATCH_NORM_EPSILON, symmetric=False)
    x = builder.conv(
        "input", "stem", "_conv_stem", "_bn0", kernel=3, stride=2, depthwise=False, activate=True
    )
    channels_in = STEM_CHANNELS
    source = 0
    for stage, (kernel, stage_stride, expansion, channels, repeats) in enumerate(STAGES):
        channels_out = scaled_channels(channels, variant.width)
        for index in range(scaled_repeats(repeats, variant.depth, stage)):
            block = f"_blocks.{source}"
            expand, *rest = [
                (f"{block}._{part}_conv", f"{block}._bn{number}")
                for number, part in enumerate(("expand", "depthwise", "project"))
            ]
            stride = stage_stride if index == 0 else 1
            x = builder.inverted_residual(
                x, f"blocks.{stage}.{index}", rest if expansion == 1 else [expand, *rest],
                kernel=kernel, stride=stride, expands=expansion != 1,
                skips=stride == 1 and channels_in == channels_out,
            )
            channels_in = channels_out
            source += 1
    features = builder.conv(
        x, "head", "_conv_head", "_bn1", kernel=1, stride=1, depthwise=False, activate=True, output="features"
    )
    return builder.finish(variant, features, int(weights["_conv_head.weight"].shape[0]), "_fc.")
