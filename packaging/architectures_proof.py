"""Adds networks of torchvision and timm to a project and prints a table; see architectures-proof.sh."""

import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file

# Name: library, its name there, pixels, and the module whose input is the bottleneck.
NETWORKS = {
    "mobilenet-v1": ("timm", "mobilenetv1_100", 224, "classifier"),
    "mobilenet-v2": ("torchvision", "mobilenet_v2", 224, "classifier.1"),
    "mobilenet-v3-small": ("torchvision", "mobilenet_v3_small", 224, "classifier.3"),
    "mobilenet-v3-large": ("torchvision", "mobilenet_v3_large", 224, "classifier.3"),
    "mobilenet-v4": ("timm", "mobilenetv4_conv_small", 224, "classifier"),
    "inception-v3": ("torchvision", "inception_v3", 299, "fc"),
    "resnet-18": ("torchvision", "resnet18", 224, "fc"),
    "resnet-50": ("timm", "resnet50", 224, "fc"),
    "efficientnet-b0": ("torchvision", "efficientnet_b0", 224, "classifier.1"),
    "convnext-tiny": ("torchvision", "convnext_tiny", 224, "classifier.2"),
    "vit-tiny": ("timm", "vit_tiny_patch16_224", 224, "head"),
}
FORMATS = ["onnx", "tflite", "coreml", "frozen-graph"]


def made(library, name):
    torch.manual_seed(0)
    if library == "timm":
        model = timm.create_model(name, pretrained=False)
    else:
        options = {"init_weights": True} if name == "inception_v3" else {}
        model = getattr(torchvision.models, name)(weights=None, **options)
    # Statistics of something else than what initialisers assume, so that folding them is seen.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.8, 1.2)
    return model.eval()


def run(program, *words, check=True):
    environment = dict(os.environ, RUST_LOG="off")
    ran = subprocess.run([program, *words, "--json"], capture_output=True, text=True, env=environment)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode == 0:
        return lines[-1], None
    reason = next((line["message"] for line in lines if line.get("event") == "error"), ran.stderr.strip())
    if check:
        sys.exit(f"{words}: {reason}")
    return None, reason


def squares(images, folder, side):
    """The images cut and resized to the network's input, so that nothing is resized again."""
    for path in sorted(Path(images).glob("*/*")):
        image = Image.open(path).convert("RGB")
        cut = min(image.size)
        left, top = (image.width - cut) // 2, (image.height - cut) // 2
        image = image.crop((left, top, left + cut, top + cut)).resize((side, side), Image.Resampling.BILINEAR)
        out = folder / path.parent.name / f"{path.stem}.png"
        out.parent.mkdir(parents=True, exist_ok=True)
        image.save(out)


def in_pytorch(model, module, pictures):
    """What flows into the last layer, for pictures of the input's size."""
    found = []
    hook = model.get_submodule(module).register_forward_pre_hook(lambda _, given: found.append(given[0]))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    with torch.no_grad():
        for picture in pictures:
            image = Image.open(picture).convert("RGB")
            pixels = (np.asarray(image, dtype=np.float64) / 255 - mean) / std
            model(torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float())
    hook.remove()
    return np.concatenate([one.flatten(1).numpy() for one in found])


def main():
    warnings.filterwarnings("ignore")
    program, images, work, *names = sys.argv[1:]
    work = Path(work)
    shutil.rmtree(work / "proof", ignore_errors=True)
    (work / "proof").mkdir(parents=True)
    print("network | parameters | MACs | ms | bottlenecks off by | depths trained (s, with two steps) | formats")
    for name in names or NETWORKS:
        library, inside, side, module = NETWORKS[name]
        project = str(work / "proof" / f"project-{side}")
        if not Path(project).exists():
            squares(images, work / "proof" / f"images-{side}", side)
            run(program, "new", project)
            run(program, "import", project, str(work / "proof" / f"images-{side}"), "--class-from", "folder")
        model = made(library, inside)
        path = work / "proof" / f"{name}.onnx"
        torch.onnx.export(model, torch.randn(1, 3, side, side), str(path), opset_version=17,
                          dynamic_axes={"input": {0: "batch"}}, input_names=["input"], output_names=["logits"])
        added, _ = run(program, "architectures", "add", project, str(path), "--normalisation", "imagenet")
        architecture = added["architecture"]

        features = str(work / "proof" / f"{name}.safetensors")
        run(program, "features", project, "--architecture", architecture, "--out", features)
        ours = load_file(features)["features"]
        with open(features, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            paths = json.loads(json.loads(file.read(length))["__metadata__"]["paths"])
        some = range(0, len(paths), max(1, len(paths) // 8))
        theirs = in_pytorch(model, module, [Path(project) / paths[at] for at in some])
        off = np.abs(ours[list(some)] - theirs).max() / np.abs(theirs).max()

        trained = []
        for offer in added["depths"]:
            began = time.time()
            run(program, "train", project, "--architecture", architecture, "--depth", offer["depth"],
                "--how-many-training-steps", "20", "--fine-tune-steps", "2", "--train-batch-size", "8",
                "--testing-percentage", "25", "--validation-percentage", "25")
            trained.append(f"{offer['depth']} {time.time() - began:.0f}")
        formats = []
        for form in FORMATS:
            _, reason = run(program, "export", project, "--out", str(work / "proof" / f"{name}-{form}"), "--format", form,
                            check=False)
            formats.append(form if reason is None else f"NOT {form}: {reason}")
        macs = next(one["multiply_accumulates"] for one in added["resolutions"] if one["resolution"] == side)
        print(f"{name} | {added['parameters'] / 1e6:.1f} M | {macs / 1e6:.0f} M | {added['image_seconds'] * 1e3:.0f} | "
              f"{off:.1e} | {', '.join(trained)} | {', '.join(formats)}", flush=True)


if __name__ == "__main__":
    main()
