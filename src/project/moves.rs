//! Moves frames between class folders, `unsorted/` and `trash/`: only by renaming, never over another file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::files::{self, Durability, sync_dir};
use crate::jobs::Work;

use super::handle::{label_path, make_dir};
use super::{ClassName, Label, Project, ProjectError};

/// How many missing frames are listed by name before the others are only counted.
const NAMED: usize = 3;

/// The destination of a frame.
pub(super) enum Target {
    /// This folder (relative to the root), under the same name.
    Folder(String),
    /// Exactly this path.
    Path(String),
}

/// The result of moving frames; frames moved before an error stay moved.
pub(super) struct Moved {
    /// New paths in the given order; a frame that was not moved keeps its old path.
    pub(super) paths: Vec<String>,
    /// Old and new path of each frame that was moved.
    pub(super) pairs: Vec<(String, String)>,
    /// How it ended.
    pub(super) end: Result<(), ProjectError>,
}

impl Moved {
    /// The new paths, or the error.
    fn into_paths(self) -> Result<Vec<String>, ProjectError> {
        self.end.map(|()| self.paths)
    }
}

impl Project {
    /// Moves frames (paths relative to the root, with `/`) to another label. Returns each frame's new relative path,
    /// in the same order; a missing frame keeps its old path and is listed in a warning. A frame of the same name is
    /// never overwritten: the moved one gets `~2` at the end of its name. Frames moved before a cancellation stay
    /// moved.
    pub fn relabel(
        &self,
        frames: &[String],
        to: &Label,
        work: &Work,
    ) -> Result<Vec<String>, ProjectError> {
        let _change = self.begin_change()?;
        self.relabel_frames(frames, to, work)?.into_paths()
    }

    /// Moves frames to `trash/`, in which each keeps its folder: `trash/classes/cat/…`. [`Project::restore`] moves
    /// them back to their former label, [`Project::relabel`] to any.
    pub fn trash(&self, frames: &[String], work: &Work) -> Result<Vec<String>, ProjectError> {
        let _change = self.begin_change()?;
        self.trash_frames(frames, work).into_paths()
    }

    /// Moves frames from `trash/` back to their former label; a class that does not exist any more is created again.
    pub fn restore(&self, frames: &[String], work: &Work) -> Result<Vec<String>, ProjectError> {
        let _change = self.begin_change()?;
        self.restore_frames(frames, work)?.into_paths()
    }

    /// [`Project::restore`] within a begun change; returns what was moved even after an error.
    pub(super) fn restore_frames(
        &self,
        frames: &[String],
        work: &Work,
    ) -> Result<Moved, ProjectError> {
        let mut targets = Vec::with_capacity(frames.len());
        for path in frames {
            let target = path.strip_prefix("trash/").unwrap_or(path);
            if let Some(class) = class_of(target) {
                let class = ClassName::new(class)?;
                if self.document().position(&class).is_none() {
                    self.make_class(&class)?;
                }
            }
            targets.push((path.clone(), Target::Path(target.to_owned())));
        }
        Ok(self.move_frames(targets, work))
    }

    /// [`Project::relabel`] within a begun change; returns what was moved even after an error.
    pub(super) fn relabel_frames(
        &self,
        frames: &[String],
        to: &Label,
        work: &Work,
    ) -> Result<Moved, ProjectError> {
        if let Label::Class(name) = to
            && self.document().position(name).is_none()
        {
            return Err(ProjectError::NoSuchClass { name: name.clone() });
        }
        let folder = label_path(to);
        let targets = frames
            .iter()
            .map(|path| (path.clone(), Target::Folder(folder.clone())));
        Ok(self.move_frames(targets.collect(), work))
    }

    /// [`Project::trash`] within a begun change.
    pub(super) fn trash_frames(&self, frames: &[String], work: &Work) -> Moved {
        let targets = frames.iter().map(|path| {
            let target = if path.starts_with("trash/") {
                path.clone()
            } else {
                format!("trash/{path}")
            };
            (path.clone(), Target::Path(target))
        });
        self.move_frames(targets.collect(), work)
    }

    /// Moves each frame to its target. To be called within a begun change.
    pub(super) fn move_frames(&self, targets: Vec<(String, Target)>, work: &Work) -> Moved {
        let mut mover = Mover {
            root: self.root(),
            folders: Vec::new(),
            gone: Vec::new(),
            touched: 0,
        };
        let mut result = Moved {
            paths: targets.iter().map(|(path, _)| path.clone()).collect(),
            pairs: Vec::new(),
            end: Ok(()),
        };
        work.stage("Moving frames", Some(targets.len() as u64));
        for (i, (path, target)) in targets.into_iter().enumerate() {
            let step = work
                .check()
                .map_err(ProjectError::from)
                .and_then(|()| mover.move_one(&path, &target));
            match step {
                Ok(Some(new)) => {
                    if let Some(slot) = result.paths.get_mut(i) {
                        slot.clone_from(&new);
                    }
                    result.pairs.push((path, new));
                }
                Ok(None) => {}
                Err(error) => {
                    result.end = Err(error);
                    break;
                }
            }
            if i % 64 == 63 {
                work.set_done(i as u64 + 1);
            }
        }
        self.counters().touched(mover.touched);
        mover.finish(work);
        result
    }
}

/// Moves files, and remembers which folders exist.
struct Mover<'a> {
    root: &'a Path,
    /// Folders that have received a file.
    folders: Vec<PathBuf>,
    gone: Vec<String>,
    /// Number of files accessed or moved ([`super::Costs`]).
    touched: u64,
}

impl Mover<'_> {
    /// The new path; `None` if there was nothing to do or the frame is missing.
    fn move_one(&mut self, path: &str, target: &Target) -> Result<Option<String>, ProjectError> {
        check_frame_path(path)?;
        let (folder, file_name) = match target {
            Target::Folder(folder) => (folder.as_str(), split_path(path).1),
            Target::Path(target) => split_path(target),
        };
        if split_path(path) == (folder, file_name) {
            return Ok(None);
        }
        self.touched += 1;
        let old = self.root.join(path);
        if files::metadata(&old).is_err() {
            self.gone.push(path.to_owned());
            return Ok(None);
        }
        let folder_abs = self.root.join(folder);
        self.ensure_folder(&folder_abs)?;
        let (free, tried) = free_name(&folder_abs, file_name);
        self.touched += tried;
        let new = folder_abs.join(&free);
        match rename(&old, &new) {
            Ok(()) => Ok(Some(format!("{folder}/{free}"))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.gone.push(path.to_owned());
                Ok(None)
            }
            Err(error) => Err(ProjectError::io("move", &old)(error)),
        }
    }

    fn ensure_folder(&mut self, folder: &Path) -> Result<(), ProjectError> {
        if !self.folders.iter().any(|known| known == folder) {
            make_dir(self.root, folder)?;
            self.folders.push(folder.to_owned());
        }
        Ok(())
    }

    fn finish(self, work: &Work) {
        for folder in &self.folders {
            sync_dir(folder);
        }
        for path in self.gone.iter().take(NAMED) {
            work.warn(format!("“{path}” is no longer there."));
        }
        if let Some(more) = self.gone.len().checked_sub(NAMED).filter(|more| *more > 0) {
            work.warn(format!("{more} more frames are no longer there."));
        }
    }
}

/// `name.jpg`, or `name~2.jpg` and so on if that is taken; and the number of names tried.
fn free_name(folder: &Path, file_name: &str) -> (String, u64) {
    let taken = |name: &str| files::metadata(folder.join(name)).is_ok();
    if !taken(file_name) {
        return (file_name.to_owned(), 1);
    }
    let (base, extension) = match file_name.rsplit_once('.') {
        Some((base, extension)) => (base, format!(".{extension}")),
        None => (file_name, String::new()),
    };
    (2..=u32::MAX)
        .map(|n| (format!("{base}~{n}{extension}"), u64::from(n)))
        .find(|(name, _)| !taken(name))
        .unwrap_or_else(|| (file_name.to_owned(), u64::from(u32::MAX)))
}

/// Renames a file; between two file systems (a class folder may be one of its own) copies it atomically.
fn rename(old: &Path, new: &Path) -> std::io::Result<()> {
    match files::rename(old, new) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {}
        done => return done,
    }
    files::copy(old, new, Durability::Synced).map_err(|failed| failed.error)?;
    files::remove_file(old)
}

/// Checks that a path is that of a file in one of the folders for frames.
pub(super) fn check_frame_path(path: &str) -> Result<(), ProjectError> {
    let mut parts = path.split('/');
    let home = parts.next();
    let ordinary = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !(cfg!(windows) && part.contains(['\\', ':']))
    };
    let rest: Vec<&str> = parts.collect();
    let depth = match home {
        Some("classes" | "trash") => 2,
        Some("unsorted") => 1,
        _ => usize::MAX,
    };
    if rest.len() >= depth && rest.iter().all(|part| ordinary(part)) {
        Ok(())
    } else {
        Err(ProjectError::NotAFrame {
            path: path.to_owned(),
        })
    }
}

/// Folder and file name.
fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The class in a path: `cat` for `classes/cat/…`.
fn class_of(path: &str) -> Option<&str> {
    path.strip_prefix("classes/")?.split('/').next()
}
