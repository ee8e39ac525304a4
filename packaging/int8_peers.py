"""int8 of Salamander beside onnxruntime.quantization and ai-edge-quantizer; see int8-peers.sh.

The images that all are calibrated on are those that Salamander chose: it lists them in the project's cache. Sizes are compared
with `fp32_bytes` of the certificate, answers with those of model.onnx, latencies with those of model.onnx, on one thread, in turn.
Times are those of making the model from images that are loaded and cut already, on both sides: in Salamander that of an export which looks
for the int8 model less that of the same export which finds it in the cache (measuring, fitting, comparing, writing; not reading images, not proving the file on the test
images, not timing it), in the others that of their functions (calibrating, quantizing, writing). Each is the median of ROUNDS. Processor time counts both cores; by the clock the
machine must have nothing else to do.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image, ImageOps

ort.set_default_logger_severity(3)
ROUNDS = 3


def pixels(path, side):
    """The largest square in the middle, as Salamander cuts it by default."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image).convert("RGB")
        width, height = image.size
        cut = min(width, height)
        left, top = (width - cut) // 2, (height - cut) // 2
        image = image.crop((left, top, left + cut, top + cut))
        return np.asarray(image.resize((side, side), Image.BILINEAR))


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class OnnxModel:
    def __init__(self, path, feed=lambda x: x):
        self.session, self.feed = session(path), feed
        self.input = self.session.get_inputs()[0].name

    def __call__(self, image):
        return self.session.run(["probabilities"], {self.input: self.feed(image[None])})[0][0]


class TfliteModel:
    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def __call__(self, image):
        self.interpreter.set_tensor(self.input["index"], image[None])
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output["index"])[0]


def latency(model, reference, image):
    ratios = []
    for at in range(60):
        took = [0.0, 0.0]
        for which in (0, 1) if at % 2 else (1, 0):
            start = time.perf_counter()
            (model, reference)[which](image)
            took[which] = time.perf_counter() - start
        ratios.append(took[0] / took[1])
    return float(np.median(ratios[10:]))


class Reader(CalibrationDataReader):
    def __init__(self, images, feed, name):
        self.all = iter([{name: feed(image[None])} for image in images])

    def get_next(self):
        return next(self.all, None)


class Took:
    """Seconds by the clock and of processor time, this process's and its children's."""

    def __enter__(self):
        self.start = self.now()
        return self

    def __exit__(self, *_):
        self.clock, self.processor = (now - then for now, then in zip(self.now(), self.start))

    @staticmethod
    def now():
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages)


def medians(times):
    return float(np.median([took.clock for took in times])), float(np.median([took.processor for took in times]))


def salamander(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def ai_edge(source, out, images):
    from ai_edge_quantizer import quantizer, recipe

    made = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    name = TfliteModel(source).interpreter.get_signature_list()
    key = next(iter(name), None)
    argument = name[key]["inputs"][0] if key else TfliteModel(source).input["name"]
    data = {key: [{argument: image[None]} for image in images]}
    made.quantize(made.calibrate(data)).export_model(str(out))


def measure(program, project, run, out):
    project = Path(project)
    base = ["export", project, "--run", run, "--accept-loss"]
    arguments = [*base, "--format", "onnx,onnx-float,tflite,onnx-int8", "--out", out / "all"]
    # Evaluating the run and timing the models is done once, and kept.
    salamander(program, *arguments)
    alone = [*base, "--format", "onnx-int8", "--out", out / "int8"]
    looking, finding = [], []
    for _ in range(ROUNDS):
        shutil.rmtree(project / "cache" / "int8")
        for times in (looking, finding):
            with Took() as took_now:
                salamander(program, *alone)
            times.append(took_now)
    certificate = json.loads((out / "all" / "certificate.json").read_text())
    ours = next(model for model in certificate["models"] if model["format"] == "onnx-int8")
    recipe = json.loads((out / "all" / "preprocess.json").read_text())
    side = recipe["resolution_px"]
    mean, std = (np.array(recipe[key], np.float32).reshape(1, 3, 1, 1) for key in ("mean", "std"))

    def normalised(batch):
        return ((batch.transpose(0, 3, 1, 2).astype(np.float32) - mean) / std).astype(np.float32)

    # The last line is the hash of the others.
    fitted = next((project / "cache" / "int8").glob("*.txt")).read_text().splitlines()[:-1]
    calibration = [pixels(project / path, side) for path in fitted]
    folder = next(path for path in (project / "runs").iterdir() if path.name.endswith(run))
    frames = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    test = [frame for frame in frames if frame["split"] == "test"]
    assert not {frame["path"] for frame in test} & set(fitted)
    images = [pixels(project / frame["path"], side) for frame in test]
    truth = np.array([frame["class"] for frame in test])

    prepared, static = out / "prepared.onnx", out / "static.onnx"
    took = {"Salamander onnx-int8": tuple(np.subtract(medians(looking), medians(finding)))}
    quantizing = []
    for _ in range(ROUNDS):
        with Took() as took_now:
            quant_pre_process(str(out / "all" / "model-float.onnx"), str(prepared))
            quantize_static(
                str(prepared),
                str(static),
                Reader(calibration, normalised, "image"),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        quantizing.append(took_now)
    took["onnxruntime.quantization"] = medians(quantizing)
    reference = OnnxModel(out / "all" / "model.onnx")
    models = {
        "fp32": (reference, None),
        "Salamander onnx-int8": (OnnxModel(out / "all" / "model-int8.onnx"), out / "all" / "model-int8.onnx"),
        "onnxruntime.quantization": (OnnxModel(static, normalised), static),
    }
    try:
        edge = out / "edge.tflite"
        with Took() as quantizing:
            ai_edge(out / "all" / "model.tflite", edge, calibration)
        took["ai-edge-quantizer"] = (quantizing.clock, quantizing.processor)
        models["ai-edge-quantizer"] = (TfliteModel(edge), edge)
    except Exception as error:  # another version of it has other names
        print(f"ai-edge-quantizer: {error}", file=sys.stderr)
    rows = {}
    wanted = None
    for name, (model, path) in models.items():
        found = np.array([model(image) for image in images])
        answers = found.argmax(1)
        wanted = answers if wanted is None else wanted
        rows[name] = {
            "top1": float((answers == truth).mean()),
            "flips": float((answers != wanted).mean()),
            "size": path.stat().st_size / certificate["fp32_bytes"] if path else 1.0,
            "clock": took.get(name, (0.0, 0.0))[0],
            "processor": took.get(name, (0.0, 0.0))[1],
            "latency": latency(model, reference, images[0]) if path else 1.0,
        }
    print(f"\n{run}: {len(test)} test images, calibrated on {len(fitted)}; certificate: top-1 {ours['top1']:.4f}"
          f" (run {ours['run_top1']:.4f}), flips {1 - ours['top1_agreement']:.4f}, latency {ours['latency']}")
    show(rows)
    return rows


def show(rows):
    print(f"{'':26}  top-1   flips   size      clock  processor  latency")
    for name, row in rows.items():
        print(
            f"{name:26}  {row['top1']:.4f}  {100 * row['flips']:5.2f} %  {100 * row['size']:6.2f} %"
            f"  {row['clock']:6.1f} s  {row['processor']:6.1f} s  {row['latency']:.2f}",
            flush=True,
        )


def main():
    program, project, *runs = sys.argv[1:]
    all_rows = []
    for run in runs:
        with tempfile.TemporaryDirectory() as out:
            all_rows.append(measure(program, project, run, Path(out)))
    if len(runs) > 1:
        print(f"\nmean of {len(runs)} runs")
        names = [name for name in all_rows[0] if all(name in rows for rows in all_rows)]
        keys = all_rows[0]["fp32"]
        show({name: {key: np.mean([rows[name][key] for rows in all_rows]) for key in keys} for name in names})


main()
