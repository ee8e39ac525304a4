//! Finds earlier exports, with their certificates and golden images.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use image::RgbImage;

use crate::files;
use crate::media::{load_image, load_image_from_bytes};

use super::archive::Contents;
use super::golden::{self, Golden};
use super::{Certificate, ExportError, certificate, manifest};

/// An export on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundExport {
    /// Its folder, or the archive.
    pub dir: PathBuf,
    /// When it was made.
    pub made: SystemTime,
    /// The results of its models on the test set.
    pub certificate: Certificate,
    /// Class names in the order of the models' outputs.
    pub labels: Vec<String>,
    /// The golden images.
    pub examples: Vec<ExampleImage>,
    /// Other entries beside the models, by name; a folder counts once.
    pub others: Vec<String>,
}

/// A golden image with the models' results.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleImage {
    /// Its path; for an image in an archive, the archive's path followed by its own. [`example_image`] reads both.
    pub path: PathBuf,
    /// Its class.
    pub class: String,
    /// Probabilities in the order of the labels, by the name of the model's file.
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

/// Reads the golden image at `path`, in an export's folder or in its archive.
///
/// # Errors
/// [`ExportError`] if it does not exist or is no image.
pub fn example_image(path: &Path) -> Result<RgbImage, ExportError> {
    let Some(archive) = path.ancestors().skip(1).find(|above| files::is_file(above)) else {
        return Ok(load_image(path)?);
    };
    let inside = path.strip_prefix(archive).unwrap_or(path);
    // Names in an archive always have this separator.
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    let bytes = Contents::open(archive)?.read(&parts.join("/"))?;
    let bytes = bytes.ok_or_else(|| ExportError::NoBundle {
        folder: archive.to_owned(),
        reason: format!("“{}” is missing", inside.display()),
    })?;
    Ok(load_image_from_bytes(&bytes, path)?)
}

/// The export at `place`, a folder or an archive; `None` if there is no certificate in it.
///
/// # Errors
/// [`ExportError::NoBundle`] if its certificate or its list of golden images cannot be read, or was changed.
pub fn found_in(place: &Path) -> Result<Option<FoundExport>, ExportError> {
    let mut contents = Contents::open(place)?;
    let unreadable = |name: &str, error: serde_json::Error| ExportError::NoBundle {
        folder: place.to_owned(),
        reason: format!("{name} cannot be read ({error})"),
    };
    let Some(text) = manifest::read_checked(&mut contents, certificate::FILE)? else {
        return Ok(None);
    };
    let certificate: Certificate =
        serde_json::from_slice(&text).map_err(|error| unreadable(certificate::FILE, error))?;
    let golden = manifest::read_checked(&mut contents, golden::FILE)?
        .map(|text| serde_json::from_slice::<Golden>(&text))
        .transpose()
        .map_err(|error| unreadable(golden::FILE, error))?;
    let (labels, images) =
        golden.map_or_else(Default::default, |golden| (golden.labels, golden.images));
    let is_folder = files::is_dir(place);
    let examples = images.into_iter().map(|image| ExampleImage {
        path: place.join(&image.image),
        class: image.class,
        probabilities: image.expected,
    });
    let dated = if is_folder {
        place.join(certificate::FILE)
    } else {
        place.to_owned()
    };
    let made = files::metadata(dated).and_then(|data| data.modified());
    let entries = files::read_dir(place).into_iter().flatten().flatten();
    let mut others: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| certificate.models.iter().all(|model| model.file != *name))
        .filter(|name| !files::is_temporary(name))
        .collect();
    others.sort();
    Ok(Some(FoundExport {
        dir: place.to_owned(),
        made: made.unwrap_or(SystemTime::UNIX_EPOCH),
        examples: examples.collect(),
        certificate,
        labels,
        others,
    }))
}

/// The exports in the folder `exports`, newest first, and the errors of those that cannot be read. Archives, and
/// exports of several runs at once, are in folders of their own.
#[must_use]
pub fn exports_in(exports: &Path) -> (Vec<FoundExport>, Vec<ExportError>) {
    let mut found = Vec::new();
    let mut unreadable = Vec::new();
    let mut places = Vec::new();
    for place in places_in(exports) {
        let is_group = files::is_dir(&place) && !files::exists(place.join(certificate::FILE));
        if is_group {
            places.extend(places_in(&place));
        } else {
            places.push(place);
        }
    }
    for place in places {
        match found_in(&place) {
            Ok(export) => found.extend(export),
            Err(error) => unreadable.push(error),
        }
    }
    found.sort_by(|a, b| (b.made, &b.dir).cmp(&(a.made, &a.dir)));
    (found, unreadable)
}

/// Folders and archives that are no links: the target of a link is no export of this project.
fn places_in(dir: &Path) -> Vec<PathBuf> {
    let entries = files::read_dir(dir).into_iter().flatten().flatten();
    let is_place = |entry: &DirEntry| {
        entry.file_type().is_ok_and(|kind| {
            kind.is_dir() || (kind.is_file() && entry.path().extension() == Some("zip".as_ref()))
        })
    };
    entries.filter(is_place).map(|entry| entry.path()).collect()
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
        std::fs::create_dir_all(dir.path().join("several/run")).unwrap();
        std::fs::write(dir.path().join("several/run/certificate.json"), CERTIFICATE).unwrap();
        std::fs::write(dir.path().join("a file"), "").unwrap();
        for (age, name) in [(0, "old"), (60, "several/run")] {
            let file = std::fs::File::options()
                .append(true)
                .open(dir.path().join(name).join("certificate.json"))
                .unwrap();
            let made = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age);
            file.set_modified(made).unwrap();
        }

        let (found, unreadable) = exports_in(dir.path());
        let names: Vec<_> = found
            .iter()
            .map(|export| export.dir.file_name().unwrap())
            .collect();
        assert_eq!(names, ["new", "run", "old"]);
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
