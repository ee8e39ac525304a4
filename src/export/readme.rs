//! The short description that lies beside an exported model.

use crate::backbone::{Backbone, Fit};
use crate::evaluate::{InputKind, Recipe};
use crate::train::Run;

/// What every `README.txt` of an export begins and ends with.
pub(super) const FIRST_WORDS: &str = "An image classifier made by Salamander ";
pub(super) const LAST_WORDS: &str = " What was trained on top is yours.\n";

/// `README.txt`: what the files are, the steps in words, and a program that runs them.
/// `notes` are what is to be said of classes that were merged or deleted since the run.
pub(super) fn text(
    run: &Run,
    backbone: &Backbone,
    is_tuned: bool,
    notes: &[String],
    recipe: &Recipe,
) -> String {
    let accuracy = run
        .result
        .as_ref()
        .and_then(|result| result.test_accuracy)
        .map_or_else(
            || "It was not measured on test frames.".to_owned(),
            |accuracy| format!("Accuracy on the test frames: {:.1} %.", accuracy * 100.0),
        );
    let steps: Vec<String> = recipe
        .steps
        .iter()
        .zip(1..)
        .map(|(step, number)| format!("{number}. {step}"))
        .collect();
    let steps = steps.join("\n");
    let program = program(recipe);
    let notes: String = notes.iter().flat_map(|note| [note, "\n"]).collect();
    let changed = if is_tuned {
        "\nThe last of them were changed by further training."
    } else {
        ""
    };
    format!(
        "{FIRST_WORDS}{version}.\n\
         Run {run}, {architecture}, {classes} classes. {accuracy}\n\
         {notes}\
         \n\
         model.onnx       the model\n\
         labels.txt       class names, one per line, in the order of the output\n\
         preprocess.json  how a picture becomes the input, in words and numbers\n\
         export.json      what was written, so that exporting here again replaces nothing else\n\
         \n\
         From a picture to a class\n\
         \n\
         {steps}\n\
         \n\
         With ONNX Runtime for Python (pip install onnxruntime numpy \"pillow>=10.1\")\n\
         \n\
         {program}\n\
         \n\
         It gives what Salamander gives for every image that Pillow reads whole, but for those with 16 bits a value\n\
         of which the upper ones are unused (10, 12 or 14 bits of a sensor): Salamander brings them to the full range.\n\
         \n\
         Licence\n\
         \n\
         The weights of the backbone ({backbone}) were published under {licence}\n\
         (LICENSE.txt, https://spdx.org/licenses/{licence}).{changed}{LAST_WORDS}",
        version = env!("CARGO_PKG_VERSION"),
        run = run.id.0,
        architecture = recipe.architecture,
        classes = recipe.labels.len(),
        backbone = backbone.name,
        licence = backbone.licence,
    )
}

/// A Python program that runs the model on one picture, as it stands beside the exported files.
pub(super) fn program(recipe: &Recipe) -> String {
    let side = recipe.preprocessing.resolution_px;
    let square = match recipe.preprocessing.fit {
        Fit::CenterCrop => format!(
            "s = min(im.size); x, y = (im.width - s) // 2, (im.height - s) // 2\n\
             im = im.crop((x, y, x + s, y + s)).resize(({side}, {side}), Image.BILINEAR)"
        ),
        Fit::Stretch => format!("im = im.resize(({side}, {side}), Image.BILINEAR)"),
        Fit::Pad => {
            let [r, g, b] = recipe.bar_rgb;
            format!(
                "m = max(im.size); w, h = (max(1, (2 * v * {side} + m) // (2 * m)) for v in im.size)\n\
                 bars = Image.new(\"RGB\", ({side}, {side}), ({r}, {g}, {b}))\n\
                 bars.paste(im.resize((w, h), Image.BILINEAR), (({side} - w) // 2, ({side} - h) // 2)); im = bars"
            )
        }
    };
    let input = match recipe.input.kind {
        InputKind::Uint8Nhwc => "x = np.asarray(im)[None]".to_owned(),
        InputKind::Float32Nchw => {
            let ([mr, mg, mb], [sr, sg, sb]) =
                (recipe.preprocessing.mean, recipe.preprocessing.std);
            format!(
                "x = (np.asarray(im, np.float32) - np.float32([{mr}, {mg}, {mb}])) / np.float32([{sr}, {sg}, {sb}])\n\
                 x = np.ascontiguousarray(x.transpose(2, 0, 1))[None]"
            )
        }
    };
    format!(
        "import numpy as np, onnxruntime\n\
         from PIL import Image, ImageOps\n\
         im = ImageOps.exif_transpose(Image.open(\"picture.jpg\"))\n\
         if im.mode.startswith(\"I\"):  # 16 bits\n    \
             im = Image.fromarray((np.asarray(im, np.float32) / 257 + 0.5).astype(np.uint8))\n\
         if im.has_transparency_data:\n    \
             im = im.convert(\"RGBA\")\n    \
             im = Image.alpha_composite(Image.new(\"RGBA\", im.size, \"white\"), im)\n\
         im = im.convert(\"RGB\")\n\
         {square}\n\
         {input}\n\
         p = onnxruntime.InferenceSession(\"model.onnx\").run([\"{output}\"], {{\"{image}\": x}})[0][0]\n\
         labels = open(\"labels.txt\", encoding=\"utf-8\").read().split(\"\\n\")\n\
         print(labels[p.argmax()], p.max())",
        output = recipe.output.name,
        image = recipe.input.name,
    )
}
