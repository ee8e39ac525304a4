//! Scans the folders for a snapshot of all frames. Fast, because files with a known extension are not opened.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::fs::{DirEntry, FileType};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::files;
use crate::jobs::Work;
use crate::kind::Kind;

use super::class::UNSORTED;
use super::class_frames::ClassFrames;
use super::frame_name::Parts;
use super::reconcile::{ClassFolder, reconcile};
use super::{Access, ClassId, Frame, Frames, Label, Project, ProjectError, SourceId};

/// The depth to which folders in a class folder are searched.
const MAX_DEPTH: usize = 16;
/// The bytes read of a file with an unknown extension, to see whether it is an image.
const HEAD_BYTES: u64 = 4096;

impl Project {
    /// Scans the class folders and `unsorted/`. Takes about 1 ms per 1,000 frames.
    ///
    /// Class folders that were created, renamed or removed by hand are followed. Folders in a class folder belong to
    /// the class. Unreadable or unusable files are left out with a warning.
    pub fn scan(&self, work: &Work) -> Result<Frames, ProjectError> {
        let classes = {
            let _still = self.hold_still();
            self.follow_folders(work)?
        };
        self.scan_followed(classes, work)
    }

    /// [`Project::scan`] once the folders of the classes are known.
    pub(super) fn scan_followed(
        &self,
        classes: Vec<ClassFolder>,
        work: &Work,
    ) -> Result<Frames, ProjectError> {
        let mut frames = Vec::new();
        for class in classes {
            let label = Label::Class(class.name);
            let path = format!("classes/{}", class.folder);
            self.scan_label(&path, &label, &mut frames, work)?;
        }
        self.scan_label(UNSORTED, &Label::Unsorted, &mut frames, work)?;
        let frames = Frames { list: frames };
        ClassFrames::remember(self, &frames);
        Ok(frames)
    }

    /// The frames in `trash/`, each with its former label.
    pub fn scan_trash(&self, work: &Work) -> Result<Frames, ProjectError> {
        let mut frames = Vec::new();
        let classes = self.root().join("trash/classes");
        if files::is_dir(&classes) {
            let folders = subfolders(&classes, work)?;
            self.counters().listed(folders.len() as u64);
            for folder in folders {
                let Ok(name) = super::ClassName::new(&folder) else {
                    continue;
                };
                let path = format!("trash/classes/{folder}");
                self.scan_label(&path, &Label::Class(name), &mut frames, work)?;
            }
        }
        let unsorted = format!("trash/{UNSORTED}");
        if files::is_dir(self.abs(&unsorted)) {
            self.scan_label(&unsorted, &Label::Unsorted, &mut frames, work)?;
        }
        Ok(Frames { list: frames })
    }

    /// Updates the classes to match their folders. To be called within a begun change.
    pub(super) fn follow_folders(&self, work: &Work) -> Result<Vec<ClassFolder>, ProjectError> {
        let path = self.root().join("classes");
        if !files::is_dir(&path) {
            self.check_there()?;
            if self.access() != Access::Full {
                return Ok(Vec::new());
            }
            // The project was probably copied without its empty folders; users do not remove all classes this way.
            for class in self.classes() {
                let folder = path.join(class.name.as_str());
                self.make_dir(&folder)?;
            }
            self.make_dir(&path)?;
        }
        let folders = subfolders(&path, work)?;
        self.counters().listed(folders.len() as u64);
        // Read only if it is needed.
        let seen = OnceCell::new();
        let held = |class: ClassId, folder: &str| {
            let seen = seen.get_or_init(|| ClassFrames::load(self));
            // Anything unreadable is reported by the scan that follows.
            seen.held(self, class, &self.files_in(folder, &Work::new()).ok()?)
        };
        let ((classes, warnings), unsaved) = self.follow(|document| {
            let same = |name: &str| files::is_dir(path.join(name));
            reconcile(document, folders, same, held)
        })?;
        for warning in warnings {
            self.tell_once(work, warning);
        }
        if let Some(error) = unsaved {
            work.warn(format!(
                "The list of classes follows the folders, but could not be saved: {error}."
            ));
        }
        Ok(classes)
    }

    /// The paths of the frames of one class, unsorted.
    pub(super) fn frames_in(
        &self,
        class: &ClassFolder,
        work: &Work,
    ) -> Result<Vec<String>, ProjectError> {
        self.files_in(&class.folder, work)
    }

    /// The paths of the frames in a folder of `classes/`.
    fn files_in(&self, folder: &str, work: &Work) -> Result<Vec<String>, ProjectError> {
        let mut frames = Vec::new();
        let path = format!("classes/{folder}");
        self.scan_folder(&path, &Label::Unsorted, MAX_DEPTH, &mut frames, work)?;
        Ok(frames.into_iter().map(|frame| frame.path).collect())
    }

    /// The paths of a source's frames with one label, unsorted. To be called within a begun change.
    pub(super) fn frames_of(
        &self,
        source: &SourceId,
        label: &Label,
        work: &Work,
    ) -> Result<Vec<String>, ProjectError> {
        let mut frames = Vec::new();
        let path = match label {
            Label::Unsorted => Some(UNSORTED.to_owned()),
            Label::Class(name) => {
                let classes = self.follow_folders(work)?;
                let class = classes.into_iter().find(|class| class.name == *name);
                class.map(|class| format!("classes/{}", class.folder))
            }
        };
        if let Some(path) = path {
            self.scan_folder(&path, label, MAX_DEPTH, &mut frames, work)?;
        }
        frames.retain(|frame| frame.source.as_ref() == Some(source));
        Ok(frames.into_iter().map(|frame| frame.path).collect())
    }

    /// The frames with one label, sorted by source and time.
    fn scan_label(
        &self,
        path: &str,
        label: &Label,
        frames: &mut Vec<Frame>,
        work: &Work,
    ) -> Result<(), ProjectError> {
        let mut found = Vec::new();
        self.scan_folder(path, label, MAX_DEPTH, &mut found, work)?;
        let sources: Vec<_> = self.sources().into_iter().map(|s| s.id).collect();
        let mut ranked: Vec<(usize, Frame)> = found
            .into_iter()
            .map(|frame| {
                // By source in the order of import, unknown sources last.
                let rank = match &frame.source {
                    Some(id) => sources
                        .iter()
                        .position(|s| s == id)
                        .unwrap_or(sources.len()),
                    None => usize::MAX,
                };
                (rank, frame)
            })
            .collect();
        ranked.sort_by(|(rank_a, a), (rank_b, b)| {
            rank_a
                .cmp(rank_b)
                .then_with(|| a.source.cmp(&b.source))
                .then_with(|| compare_times(a.time_secs, b.time_secs))
                .then_with(|| natural_cmp(&a.path, &b.path))
        });
        frames.extend(ranked.into_iter().map(|(_, frame)| frame));
        Ok(())
    }

    fn scan_folder(
        &self,
        path: &str,
        label: &Label,
        depth: usize,
        frames: &mut Vec<Frame>,
        work: &Work,
    ) -> Result<(), ProjectError> {
        work.check()?;
        let abs = self.abs(path);
        let entries = match files::read_dir(&abs) {
            Ok(entries) => entries,
            Err(error) => {
                self.check_there()?;
                work.warn(format!("The folder “{path}” cannot be read: {error}."));
                return Ok(());
            }
        };
        let (mut nameless, mut links) = (0, 0);
        let (mut films, mut raws) = (0, 0);
        let mut listed = 0;
        for entry in entries {
            listed += 1;
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    work.warn(format!(
                        "The folder “{path}” cannot be read completely: {error}."
                    ));
                    break;
                }
            };
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                nameless += 1;
                continue;
            };
            // Files that are being written have hidden names.
            if name.starts_with('.') {
                continue;
            }
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                if depth > 0 {
                    let path = format!("{path}/{name}");
                    self.scan_folder(&path, label, depth - 1, frames, work)?;
                }
            } else if kind.is_symlink() {
                links += 1;
            } else if kind.is_file() {
                let found = kind_of(name, || entry.path());
                films += u64::from(found.is_film());
                raws += u64::from(matches!(found, Kind::CameraRaw(_)));
                if !found.is_image() {
                    continue;
                }
                let parts = Parts::of(name);
                frames.push(Frame {
                    path: format!("{path}/{name}"),
                    label: label.clone(),
                    time_secs: parts.as_ref().and_then(|p| p.time_secs),
                    source: parts.map(|p| p.source),
                });
            }
        }
        self.counters().listed(listed);
        if nameless > 0 {
            let what = if nameless == 1 {
                "file or folder was"
            } else {
                "files or folders were"
            };
            let text = format!(
                "In the folder “{path}”, {nameless} {what} left out because of a name that is not valid Unicode. Rename them to use them."
            );
            self.tell_once(work, text);
        }
        if links > 0 {
            let what = if links == 1 { "link was" } else { "links were" };
            let text = format!(
                "In the folder “{path}”, {links} {what} left out: links in a project are not followed. Replace them with the files themselves."
            );
            self.tell_once(work, text);
        }
        self.tell_no_frames(path, films, raws, work);
        Ok(())
    }

    /// Warns of films and raw photos in a class folder, where they are not used.
    fn tell_no_frames(&self, path: &str, films: u64, raws: u64, work: &Work) {
        if path.starts_with("trash/") {
            return;
        }
        for (count, one, many, remedy) in [
            (
                films,
                "video is not a frame",
                "videos are not frames",
                "Import videos to extract their frames.",
            ),
            (
                raws,
                "camera raw photo is not a frame",
                "camera raw photos are not frames",
                "Save them as JPEG first.",
            ),
        ] {
            if count > 0 {
                let what = if count == 1 { one } else { many };
                let text = format!("In the folder “{path}”, {count} {what}. {remedy}");
                self.tell_once(work, text);
            }
        }
    }
}

/// The kind of a file in a class folder: by its extension, and by its first bytes only if that is unknown. An
/// animation counts as an image.
pub(super) fn kind_of(name: &str, path: impl FnOnce() -> PathBuf) -> Kind {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    if let Some(kind) = extension.and_then(Kind::of_extension) {
        return kind;
    }
    let mut head = Vec::new();
    let read = files::open(path()).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    if read.is_err() {
        return Kind::Unknown;
    }
    let kind = Kind::of_head(&head);
    kind.first_image().map_or(kind, Kind::Image)
}

/// The type of an entry; for a link that the user agreed to follow, that of its target.
fn entry_kind(entry: &DirEntry) -> Option<FileType> {
    let kind = entry.file_type().ok()?;
    if kind.is_symlink() {
        return files::metadata(entry.path()).ok().map(|m| m.file_type());
    }
    Some(kind)
}

/// The visible folders in a folder, with a warning for names that are not Unicode.
pub(super) fn subfolders(path: &Path, work: &Work) -> Result<Vec<String>, ProjectError> {
    let mut folders = Vec::new();
    for entry in files::read_dir(path).map_err(ProjectError::io("read", path))? {
        let entry = entry.map_err(ProjectError::io("read", path))?;
        if !entry_kind(&entry).is_some_and(|kind| kind.is_dir()) {
            continue;
        }
        match entry.file_name().into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) => folders.push(name),
            Err(name) => work.warn(format!(
                "The folder “{}” was left out because its name is not valid Unicode. Rename it to use its frames.",
                name.to_string_lossy()
            )),
        }
    }
    Ok(folders)
}

/// Orders frames with a time before those without.
fn compare_times(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// Compares in natural order: `img2` before `img10`; case matters only for otherwise equal texts.
#[must_use]
pub fn natural_cmp(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        let order = match (rest_a.chars().next(), rest_b.chars().next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number_a, number_b);
                (number_a, rest_a) = split_number(rest_a);
                (number_b, rest_b) = split_number(rest_b);
                number_a
                    .len()
                    .cmp(&number_b.len())
                    .then_with(|| number_a.cmp(number_b))
            }
            (Some(x), Some(y)) => {
                rest_a = rest_a.get(x.len_utf8()..).unwrap_or_default();
                rest_b = rest_b.get(y.len_utf8()..).unwrap_or_default();
                if x == y {
                    Ordering::Equal
                } else {
                    x.to_lowercase().cmp(y.to_lowercase())
                }
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The leading digits without leading zeros, and the rest.
fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}
