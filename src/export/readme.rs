//! The short description beside an exported model.

use crate::backbone::Fit;
use crate::evaluate::{InputKind, Recipe};
use crate::text::{bytes, percent, visible};

use super::{Certificate, Model, WrittenModel, snippets};

/// The first words and the last ones of every `README.txt`, by which exports of versions without a manifest are
/// recognised.
pub(super) const FIRST_WORDS: &str = "An image classifier made by Salamander ";
pub(super) const LAST_WORDS: &str = " What was trained on top is yours.\n";

/// Limitations of the example programs.
const LIMITS: &str = "\
It gives the same results as Salamander for every image that Pillow reads completely, except for two kinds: those with 16 bits per value of
which the upper ones are unused (10, 12 or 14 bits of a sensor), which Salamander brings to the full range; and JPEG files
whose stream is damaged or whose EXIF data is, of which each decoder makes what it can.";

/// `README.txt`: a list of the files, the steps in words, and a program that runs the first model.
pub(super) fn text(model: &Model, models: &[WrittenModel], certificate: &Certificate) -> String {
    let Some(first) = models.first() else {
        return String::new();
    };
    let recipe = &first.recipe;
    let accuracy = model.test_accuracy.map_or_else(
        || "It was not measured on test images.".to_owned(),
        |accuracy| format!("Accuracy on the test images: {:.1} %.", accuracy * 100.0),
    );
    let steps: Vec<String> = recipe
        .steps
        .iter()
        .zip(1..)
        .map(|(step, number)| format!("{number}. {step}"))
        .collect();
    let steps = steps.join("\n");
    let mut examples = models
        .iter()
        .filter_map(|model| model.format.example(&model.recipe, model.file));
    let example = examples.next().map_or_else(String::new, |example| {
        format!(
            "With {} (pip install {})\n\n{}\n\n{LIMITS}\n\n",
            example.runtime, example.packages, example.program
        )
    });
    let files = listed(models);
    let proof = proof(certificate);
    let notes: String = model.notes.iter().flat_map(|note| [note, "\n"]).collect();
    let changed = if model.is_fine_tuned {
        "\nThe last of them were changed by fine-tuning."
    } else {
        ""
    };
    format!(
        "{FIRST_WORDS}{version}.\n\
         Run {run}, {architecture}, {classes} classes. {accuracy}\n\
         {notes}\
         \n\
         {files}\
         \n\
         {proof}\
         \n\
         From an image to a class\n\
         \n\
         {steps}\n\
         \n\
         {example}\
         Licence\n\
         \n\
         The weights of the backbone ({backbone}) were published under {licence}\n\
         (LICENSE.txt, https://spdx.org/licenses/{licence}).{changed}{LAST_WORDS}",
        version = env!("CARGO_PKG_VERSION"),
        run = visible(&model.run),
        architecture = visible(&recipe.architecture.to_string()),
        classes = recipe.labels.len(),
        backbone = visible(&model.backbone.name),
        licence = visible(&model.backbone.licence),
    )
}

/// A summary of the certificate.
fn proof(certificate: &Certificate) -> String {
    let mut rows = vec![
        [
            "",
            "size",
            "of fp32",
            "top-1",
            "difference (95 %)",
            "flips",
            "ms",
            "of fp32",
        ]
        .map(str::to_owned),
    ];
    for model in &certificate.models {
        let [low, high] = model.top1_difference_95.map(|part| part * 100.0);
        let (ms, ratio) = match &model.latency {
            Some(latency) => (
                format!("{:.1}", latency.median_ms),
                format!("{:.2}", latency.ratio_to_fp32),
            ),
            None => ("-".into(), "-".into()),
        };
        rows.push([
            model.file.clone(),
            bytes(model.bytes),
            format!("{:.0} %", model.size_ratio * 100.0),
            percent(model.top1),
            format!(
                "{:+.1} ({low:+.1} to {high:+.1})",
                model.top1_difference * 100.0
            ),
            model.flips.len().to_string(),
            ms,
            ratio,
        ]);
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..8).map(width).collect();
    let mut table = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, &width))| match at {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        let line = cells.join("  ");
        table += line.trim_end();
        table.push('\n');
    }
    let accepted = certificate.models.iter().filter_map(|model| {
        let loss = model.accepted_loss.as_ref()?;
        Some(format!("Accepted anyway for {}: {loss}.\n", model.file))
    });
    let accepted: String = accepted.collect();
    format!(
        "Results of the models on the {frames} {split} images, compared with the run\n\
         \n\
         {table}{accepted}\
         Flips are images with a different answer than the run's; certificate.json lists them.\n\
         Times are per image: {runtime}.\n",
        frames = certificate.frames,
        split = certificate.split,
        runtime = certificate.runtime,
    )
}

/// The files with a description of each, one per line.
fn listed(models: &[WrittenModel]) -> String {
    let mut rows: Vec<(&str, String)> = match models {
        [only] => vec![(only.file, "the model".to_owned())],
        _ => models
            .iter()
            .map(|model| (model.file, format!("the model as {}", model.format.title())))
            .collect(),
    };
    let others = [
        (
            "labels.txt",
            "class names, one per line, in the order of the output",
        ),
        (
            "preprocess.json",
            "how an image is preprocessed, in words and numbers",
        ),
        (
            "certificate.json",
            "results of each model on the test images, compared with the run",
        ),
        (
            "MODEL_CARD.md",
            "data, accuracy, use and limits, licences (model_card.json: the same for programs)",
        ),
        (
            "golden",
            "test images, the exact inputs, and the models' answers",
        ),
        (
            "verify.py",
            "checks the models on them (pip install onnxruntime numpy pillow)",
        ),
        (
            "export.json",
            "list of the written files, so that exporting here again replaces nothing else",
        ),
    ];
    rows.extend(others.map(|(name, what)| (name, what.to_owned())));
    if snippets::of(models.iter().map(|model| model.format))
        .next()
        .is_some()
    {
        let what = "programs for phones and the web, which check themselves on the golden images";
        rows.push(("snippets", what.to_owned()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, what): &(&str, String)| format!("{name:width$}  {what}\n");
    rows.iter().map(line).collect()
}

/// The lines of a Python program that compute a model's input `x` from `image.jpg`.
pub(super) fn input_in_python(recipe: &Recipe) -> String {
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
            let ([mr, mg, mb], [sr, sg, sb]) = recipe.normalisation();
            format!(
                "x = (np.asarray(im, np.float32) - np.float32([{mr}, {mg}, {mb}])) / np.float32([{sr}, {sg}, {sb}])\n\
                 x = np.ascontiguousarray(x.transpose(2, 0, 1))[None]"
            )
        }
        InputKind::Float32Nhwc => {
            let ([mr, mg, mb], [sr, sg, sb]) = recipe.normalisation();
            format!(
                "x = (np.asarray(im, np.float32) - np.float32([{mr}, {mg}, {mb}])) / np.float32([{sr}, {sg}, {sb}])\n\
                 x = x[None]"
            )
        }
    };
    format!(
        "im = ImageOps.exif_transpose(Image.open(\"image.jpg\"))\n\
         if im.mode.startswith(\"I\"):  # 16 bits\n    \
             im = Image.fromarray((np.asarray(im, np.float32) / 257 + 0.5).astype(np.uint8))\n\
         if im.has_transparency_data:\n    \
             im = im.convert(\"RGBA\")\n    \
             im = Image.alpha_composite(Image.new(\"RGBA\", im.size, \"white\"), im)\n\
         im = im.convert(\"RGB\")\n\
         {square}\n\
         {input}"
    )
}
