//! A record of each class's frames at the last scan, by which a folder that was renamed by hand is recognised. It is a
//! sample of file names and sizes in `cache/class_frames.json`; without it, a renamed folder is a new class.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::files::{self, Durability};

use super::{Access, ClassId, ClassName, Frames, Project, ProjectError};

/// The most files recorded for a class: enough to be certain, few enough to be written after each scan.
const SAMPLE: usize = 64;

const FILE: &str = "class_frames.json";

/// A sample of files, as pairs of the hash of the name and the size in bytes: those with the smallest hashes, hence
/// random, and stable as long as the files are. All files, if they are few.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample(Vec<(u64, u64)>);

impl Sample {
    /// The sample of files by their paths; `size` is called only for the sampled ones.
    fn of<'a>(paths: impl Iterator<Item = &'a str>, size: impl Fn(&str) -> u64) -> Self {
        let mut hashes: Vec<(u64, &str)> =
            paths.map(|path| (hash(file_name(path)), path)).collect();
        if hashes.len() > SAMPLE {
            hashes.select_nth_unstable(SAMPLE);
            hashes.truncate(SAMPLE);
        }
        hashes.sort_unstable();
        let sized = hashes.into_iter().map(|(hash, path)| (hash, size(path)));
        Self(sized.collect())
    }

    /// Whether at least half of the sampled files are among these; `None` if the sample is empty.
    fn is_among(&self, paths: &[String], size: impl Fn(&str) -> u64) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let there: HashMap<u64, &str> = paths
            .iter()
            .map(|path| (hash(file_name(path)), path.as_str()))
            .collect();
        let same =
            |(hash, bytes): &&(u64, u64)| there.get(hash).is_some_and(|path| size(path) == *bytes);
        Some(2 * self.0.iter().filter(same).count() >= self.0.len())
    }
}

fn hash(name: &str) -> u64 {
    let mut bytes = [0; 8];
    blake3::Hasher::new()
        .update(name.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The size of a file of the project in bytes; 0 if it does not exist.
fn size_in(project: &Project) -> impl Fn(&str) -> u64 {
    |path| files::metadata(project.abs(path)).map_or(0, |found| found.len())
}

/// The samples of all classes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ClassFrames(BTreeMap<ClassId, Sample>);

impl ClassFrames {
    /// Reads the record; empty if it cannot be read.
    pub(super) fn load(project: &Project) -> Self {
        let bytes = files::read_document(project.cache_dir().join(FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Records a scan. Failing to write it does no harm, except that a renamed folder may not be recognised.
    pub(super) fn remember(project: &Project, frames: &Frames) {
        let ids: HashMap<ClassName, ClassId> = project
            .classes()
            .into_iter()
            .map(|class| (class.name, class.id))
            .collect();
        let mut now = Self::default();
        // Frames of one label are consecutive.
        for frames in frames.list.chunk_by(|a, b| a.label == b.label) {
            let class = frames.first().and_then(|frame| frame.label.class());
            if let Some(id) = class.and_then(|class| ids.get(class)) {
                let paths = frames.iter().map(|frame| frame.path.as_str());
                now.0.insert(*id, Sample::of(paths, size_in(project)));
            }
        }
        // A process that only reads may not know the current classes.
        if project.access() == Access::Full
            && now != Self::load(project)
            && let Err(error) = now.save(project)
        {
            log::debug!("the frames of classes could not be recorded: {error}");
        }
    }

    fn save(&self, project: &Project) -> Result<(), ProjectError> {
        let dir = project.cache_dir();
        let path = dir.join(FILE);
        let text = serde_json::to_vec(self)
            .map_err(|error| ProjectError::io("write", &path)(error.into()))?;
        project.make_dir(&dir)?;
        Ok(files::write(&path, &text, Durability::Renamed)?)
    }

    /// Whether a folder with these files (paths) has most of the files of the class; `None` if unknown.
    pub(super) fn held(&self, project: &Project, class: ClassId, files: &[String]) -> Option<bool> {
        self.0.get(&class)?.is_among(files, size_in(project))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_by_half_of_its_frames() {
        for count in [1, 10, 64, 65, 3000] {
            let names: Vec<String> = (0..count).map(|n| format!("classes/a/{n}.jpg")).collect();
            let size = |path: &str| path.len() as u64 - 10;
            let sample = Sample::of(names.iter().map(String::as_str), size);
            assert_eq!(sample.0.len(), count.min(SAMPLE));
            let renamed: Vec<String> = (0..count).map(|n| format!("classes/b/{n}.jpg")).collect();
            assert_eq!(sample.is_among(&renamed, size), Some(true));
            assert_eq!(sample.is_among(&renamed[..count / 4], size), Some(false));
            assert_eq!(sample.is_among(&[], size), Some(false));
            // Other images with the same names.
            assert_eq!(
                sample.is_among(&renamed, |path| size(path) + 1),
                Some(false)
            );
        }
        assert_eq!(Sample::default().is_among(&["1.jpg".into()], |_| 1), None);
    }
}
