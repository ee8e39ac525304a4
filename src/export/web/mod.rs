//! The web format: a folder with a page, the model and ONNX Runtime Web. Any web server can serve it, and it works
//! without a connection to the internet. The page computes the input exactly as
//! [`Preprocessing`](crate::backbone::Preprocessing) does.

mod runtime;
mod trial;

pub use runtime::web_runtime_dir;
pub use trial::web_files;

use std::path::{Path, PathBuf};

use crate::evaluate::{EvaluateError, InputKind, Runner};

use super::format::{Acceptance, Exporter, Family, FormatInfo, ModelFile, Options};
use super::onnx::Onnx;
use super::{ExportError, Model, OnnxRunner};

/// The folder, and the name of the model in it.
const FOLDER: &str = "web";
const MODEL: &str = "model.onnx";

/// Files that are the same in every export.
const PAGE: [(&str, &str); 4] = [
    ("index.html", include_str!("page/index.html")),
    ("app.js", include_str!("page/app.js")),
    ("style.css", include_str!("page/style.css")),
    ("ort/LICENSE.txt", include_str!("onnxruntime-LICENSE.txt")),
];

/// The page with an fp32 model; its weights are stored as in the backbone's file.
pub(super) struct Web {
    info: FormatInfo,
}

impl Web {
    pub const PAGE: Self = Self {
        info: FormatInfo {
            name: "web",
            family: &Family::WEB,
            variant: "fp32",
            title: "Web page",
            sentence: "A folder with a page that classifies in the browser, offline; for any web server, and for trying the model on a phone.",
            file: FOLDER,
        },
    };
}

impl Exporter for Web {
    fn info(&self) -> &FormatInfo {
        &self.info
    }

    fn input(&self, _: &Options) -> InputKind {
        InputKind::Uint8Nhwc
    }

    fn acceptance(&self) -> Acceptance {
        Acceptance::FP32
    }

    fn proof(&self) -> &'static str {
        "run in ONNX Runtime; in the tests in Chromium"
    }

    fn check_installed(&self) -> Result<(), ExportError> {
        runtime::find().map(|_| ())
    }

    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError> {
        let recipe = model.recipe(self.input(options));
        let json = serde_json::to_string_pretty(&recipe)
            .map_err(|error| ExportError::io("write", "preprocess.json")(error.into()))?;
        let mut labels = model.labels.join("\n");
        labels.push('\n');
        let licence = model.backbone.licence_text().to_owned();
        let of_model = [
            ("preprocess.json", json + "\n"),
            ("labels.txt", labels),
            ("LICENSE.txt", licence),
        ];
        let texts = PAGE
            .into_iter()
            .map(|(name, text)| (name, text.as_bytes().to_vec()));
        let mut files: Vec<ModelFile> = texts
            .chain(of_model.map(|(name, text)| (name, text.into_bytes())))
            .map(|(name, bytes)| inside(name, bytes))
            .collect();
        for (name, bytes) in runtime::find()?.read()? {
            files.push(inside(name, bytes));
        }
        for file in Onnx::UINT8.write(model, &Options::default())? {
            files.push(inside(MODEL, file.bytes));
        }
        Ok(files)
    }

    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError> {
        let is_model = |file: &&ModelFile| {
            let name = Path::new(&file.name).file_name();
            name.is_some_and(|name| name == MODEL)
        };
        let Some(file) = files.iter().find(is_model) else {
            let first = files.first().map_or(FOLDER, |file| &file.name);
            let folder = Path::new(first).parent().unwrap_or(Path::new(FOLDER));
            return Err(EvaluateError::NoExport {
                path: PathBuf::from(folder),
                reason: format!("there is no {MODEL} in it"),
            });
        };
        let runner = OnnxRunner::from_bytes(&file.bytes, Path::new(&file.name), threads)?;
        Ok(Box::new(runner))
    }

    fn beside(&self, golden: &[(String, Vec<u8>)]) -> Vec<ModelFile> {
        // The folder may be copied to a server without the rest, and contains the files to check it there.
        let kind = InputKind::Uint8Nhwc.name();
        let is_input = |name: &str| Path::new(name).extension().is_some_and(|end| end == "npy");
        let wanted = golden
            .iter()
            .filter(|(name, _)| !is_input(name) || name.contains(kind));
        wanted
            .map(|(name, bytes)| inside(name, bytes.clone()))
            .collect()
    }

    fn folder_files(&self) -> &'static [&'static str] {
        &[MODEL]
    }

    fn recognises(&self, file_name: &str, _head: &[u8]) -> bool {
        file_name == FOLDER
    }
}

fn inside(name: &str, bytes: Vec<u8>) -> ModelFile {
    ModelFile {
        name: format!("{FOLDER}/{name}"),
        bytes,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_page_names_nothing_of_another_server() {
        for (name, text) in PAGE {
            assert!(!text.contains("://"), "{name}");
        }
    }
}
