//! Exports that were made before: what their certificates say, and their golden images to look at.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::golden::{self, Golden};
use super::{Certificate, ExportError, certificate};

/// An export as it lies on the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundExport {
    /// Its folder.
    pub dir: PathBuf,
    /// When it was made.
    pub made: SystemTime,
    /// What its models did on the test set.
    pub certificate: Certificate,
    /// Class names in the order of the models' outputs.
    pub labels: Vec<String>,
    /// The golden images.
    pub examples: Vec<ExampleImage>,
    /// What lies beside the models, by name; a folder counts once.
    pub others: Vec<String>,
}

/// A golden image with what the models say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleImage {
    /// Where it is.
    pub path: PathBuf,
    /// Its class.
    pub class: String,
    /// Probabilities in the order of the labels, by the model's file.
    pub probabilities: BTreeMap<String, Vec<f32>>,
}

impl ExampleImage {
    /// The most probable labels with their probabilities, at most `count`.
    #[must_use]
    pub fn top<'a>(&self, model: &str, labels: &'a [String], count: usize) -> Vec<(&'a str, f32)> {
        let probabilities = self.probabilities.get(model).map_or(&[][..], Vec::as_slice);
        let mut top: Vec<(&str, f32)> = labels
            .iter()
            .map(String::as_str)
            .zip(probabilities.iter().copied())
            .collect();
        top.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        top.truncate(count);
        top
    }
}

/// The export in the folder `dir`; `None` when there is no certificate in it.
///
/// # Errors
/// [`ExportError::NoBundle`] when its certificate or its list of golden images cannot be read.
pub fn found_in(dir: &Path) -> Result<Option<FoundExport>, ExportError> {
    let no_bundle = |name: &str, reason: String| ExportError::NoBundle {
        folder: dir.to_owned(),
        reason: format!("{name} cannot be read ({reason})"),
    };
    let read = |name: &str| match std::fs::read(dir.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(no_bundle(name, error.to_string())),
    };
    let Some(text) = read(certificate::FILE)? else {
        return Ok(None);
    };
    let certificate: Certificate = serde_json::from_slice(&text)
        .map_err(|error| no_bundle(certificate::FILE, error.to_string()))?;
    let golden = read(golden::FILE)?
        .map(|text| serde_json::from_slice::<Golden>(&text))
        .transpose()
        .map_err(|error| no_bundle(golden::FILE, error.to_string()))?;
    let (labels, images) =
        golden.map_or_else(Default::default, |golden| (golden.labels, golden.images));
    let examples = images.into_iter().map(|image| ExampleImage {
        path: dir.join(&image.image),
        class: image.class,
        probabilities: image.expected,
    });
    let examples = examples.collect();
    let made = std::fs::metadata(dir.join(certificate::FILE)).and_then(|data| data.modified());
    let mut others: Vec<String> = std::fs::read_dir(dir)
        .map_err(|error| no_bundle("its folder", error.to_string()))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| certificate.models.iter().all(|model| model.file != *name))
        .filter(|name| !crate::files::is_temporary(name))
        .collect();
    others.sort();
    Ok(Some(FoundExport {
        dir: dir.to_owned(),
        made: made.unwrap_or(SystemTime::UNIX_EPOCH),
        certificate,
        labels,
        examples,
        others,
    }))
}

/// The exports in the folders of `exports`, newest first, and a sentence for each that cannot be read.
#[must_use]
pub fn exports_in(exports: &Path) -> (Vec<FoundExport>, Vec<ExportError>) {
    let mut found = Vec::new();
    let mut unreadable = Vec::new();
    let entries = std::fs::read_dir(exports).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.path().is_dir()) {
        match found_in(&entry.path()) {
            Ok(export) => found.extend(export),
            Err(error) => unreadable.push(error),
        }
    }
    found.sort_by(|a, b| (b.made, &b.dir).cmp(&(a.made, &a.dir)));
    (found, unreadable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    const CERTIFICATE: &str = r#"{"schema": 1, "program": "Salamander 0.1.0", "run": "r", "split": "test", "frames": 4,
        "interval": "", "runtime": "", "fp32_bytes": 10, "models": []}"#;

    #[test]
    fn exports_are_found_newest_first_and_damaged_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("old", CERTIFICATE), ("new", CERTIFICATE), ("cut", "{")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("certificate.json"), text).unwrap();
        }
        std::fs::create_dir(dir.path().join("somebody’s")).unwrap();
        std::fs::write(dir.path().join("a file"), "").unwrap();
        let old = std::fs::File::options()
            .append(true)
            .open(dir.path().join("old/certificate.json"))
            .unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();

        let (found, unreadable) = exports_in(dir.path());
        let names: Vec<_> = found
            .iter()
            .map(|export| export.dir.file_name().unwrap())
            .collect();
        assert_eq!(names, ["new", "old"]);
        assert_eq!(unreadable.len(), 1);
        let words = unreadable[0].to_string();
        assert!(
            words.contains("cut") && words.contains("certificate.json"),
            "{words}"
        );
        assert!(exports_in(&dir.path().join("none")).0.is_empty());
    }

    #[test]
    fn the_most_probable_labels_come_first() {
        let image = ExampleImage {
            path: PathBuf::new(),
            class: "b".into(),
            probabilities: BTreeMap::from([("model.onnx".to_owned(), vec![0.1, 0.7, 0.2])]),
        };
        let labels = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            image.top("model.onnx", &labels, 2),
            [("b", 0.7), ("c", 0.2)]
        );
        assert!(image.top("other", &labels, 2).is_empty());
    }
}
