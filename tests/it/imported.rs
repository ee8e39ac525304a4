//! Photos to import, and what an import made of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use salamander::curate::groups;
use salamander::jobs::Work;
use salamander::project::{Project, Split, SplitSettings};
use serde_json::Value;

use crate::cli_program::{Place, events};

/// A different image for each number.
fn picture(number: u32) -> RgbImage {
    let hash = blake3::hash(&number.to_le_bytes());
    let bytes = *hash.as_bytes();
    RgbImage::from_fn(48, 48, |x, y| {
        let at = (x / 12 + y / 12 * 4) as usize;
        let value = bytes[at % 32];
        Rgb([
            value,
            value.wrapping_add(bytes[at / 2]),
            bytes[31 - at % 32],
        ])
    })
}

impl Place {
    /// Different images at these paths; those that end in `=name` have the same bytes as `name`.
    pub(super) fn photos(&self, paths: &[&str]) {
        for path in paths {
            let (path, same) = path.split_once('=').unwrap_or((path, ""));
            let to = self.path(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if same.is_empty() {
                let number = u32::from_le_bytes(
                    blake3::hash(path.as_bytes()).as_bytes()[..4]
                        .try_into()
                        .unwrap(),
                );
                picture(number).save(to).unwrap();
            } else {
                fs::copy(self.path(same), to).unwrap();
            }
        }
    }

    /// A new project called `name`.
    pub(super) fn fresh(&self, name: &str) {
        assert_eq!(self.line(&format!("new {name}")).code, Some(0));
    }

    pub(super) fn open(&self, name: &str) -> Project {
        Project::open(&self.path(name)).unwrap()
    }
}

/// The set of reported inputs, if it is there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("SALAMANDER_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = data.join("reported").join(name);
    if !path.is_dir() {
        eprintln!(
            "skipped the set of reported inputs: {} is not there",
            path.display()
        );
        return None;
    }
    path.canonicalize().ok()
}

/// The number of frames with each label: `cat 3, unsorted 1`.
pub fn labels(project: &Project) -> String {
    let frames = project.scan(&Work::new()).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for class in project.classes() {
        counts.insert(class.name.to_string(), 0);
    }
    for frame in &frames.list {
        let label = frame
            .label
            .class()
            .map_or("unsorted", |class| class.as_str());
        *counts.entry(label.to_owned()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(l, n)| format!("{l} {n}")).collect();
    counts.join(", ")
}

/// The `file` events of an import by the end of their paths.
pub fn fates(lines: &[Value]) -> BTreeMap<String, &Value> {
    let files = events(lines, "file").into_iter();
    files
        .map(|file| {
            let path = Path::new(file["path"].as_str().unwrap());
            let mut end: Vec<_> = path.components().rev().take(2).collect();
            end.reverse();
            let end: PathBuf = end.into_iter().collect();
            (end.display().to_string(), file)
        })
        .collect()
}

/// Checks that every file is accounted for.
pub fn adds_up(result: &Value) {
    let n = |field: &str| result[field].as_u64().unwrap();
    assert_eq!(
        n("imported") + n("known") + n("passed_over") + n("failed"),
        n("files"),
        "{result}"
    );
}

pub fn warnings(lines: &[Value]) -> Vec<String> {
    let warnings = events(lines, "warning").into_iter();
    warnings
        .map(|warning| warning["message"].as_str().unwrap().to_owned())
        .collect()
}

/// The side of each frame by its path.
pub fn sides(project: &Project) -> BTreeMap<String, Option<Split>> {
    let work = Work::new();
    let frames = project.scan(&work).unwrap();
    let groups = groups(project, &frames, &work).unwrap();
    let assigned = project
        .assign_splits(&frames, &groups, &SplitSettings::default())
        .unwrap();
    let paths = frames.list.into_iter().map(|frame| frame.path);
    paths.zip(assigned.splits).collect()
}
