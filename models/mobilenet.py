"""MobileNet v2 at width 1.0 (Sandler et al. 2018), with the weights of torchvision.

The layers and their names are those of torchvision/models/mobilenetv2.py.
"""

import numpy as np
import onnx

from downloads import MOBILENET_V2
from network import Builder, Network

BATCH_NORM_EPSILON = 1e-5
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280

# expansion, output channels, repeats, stride of each stage.
STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]

NETWORK = Network(
    source=MOBILENET_V2,
    trained_resolution=224,
    default_resolution=224,
    resolutions=[96, 128, 160, 192, 224],
    # (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), times 255.
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    top1_percent=71.88,
    top1_source=(
        "https://docs.pytorch.org/vision/stable/models.html, MobileNet_V2_Weights.IMAGENET1K_V1: 71.878"
        " (fp32, ImageNet validation set), at 224x224"
    ),
    licence="BSD-3-Clause",
    licence_file="LICENSE-mobilenet-v2",
    input_in_words="(x/255-mean)/std, mean 0.485 0.456 0.406, std 0.229 0.224 0.225",
)


def build(network: Network, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    builder = Builder(weights, epsilon=BATCH_NORM_EPSILON, symmetric=True)
    x = builder.conv(
        "input", "stem", "features.0.0", "features.0.1", kernel=3, stride=2, depthwise=False, activate=True
    )
    channels_in = STEM_CHANNELS
    source = 1
    for stage, (expansion, channels, repeats, stage_stride) in enumerate(STAGES):
        for index in range(repeats):
            block = f"features.{source}.conv"
            # Expansion and depthwise convolution are layers with an activation, the projection is not.
            layers = 1 if expansion == 1 else 2
            parts = [(f"{block}.{layer}.0", f"{block}.{layer}.1") for layer in range(layers)]
            parts.append((f"{block}.{layers}", f"{block}.{layers + 1}"))
            stride = stage_stride if index == 0 else 1
            x = builder.inverted_residual(
                x, f"blocks.{stage}.{index}", parts, kernel=3, stride=stride, expands=expansion != 1,
                skips=stride == 1 and channels_in == channels,
            )
            channels_in = channels
            source += 1
    last = f"features.{source}"
    features = builder.conv(
        x, "head", f"{last}.0", f"{last}.1", kernel=1, stride=1, depthwise=False, activate=True, output="features"
    )
    return builder.finish(network, features, HEAD_CHANNELS, "classifier.")
