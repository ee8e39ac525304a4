//! Finds every file in the given paths, exactly once: files to inspect, and a report for each of the others.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::files;
use crate::jobs::Work;
use crate::media::MediaError;
use crate::project::natural_cmp;

use super::outcome::{Fate, FileReport, Reason};

/// A root of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// The folder; for files that were given directly, the folder that contains them.
    pub(super) path: PathBuf,
    pub(super) kind: RootKind,
}

/// The kind of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootKind {
    /// A given folder.
    Folder,
    /// Files that were given directly.
    Files,
    /// The `classes` folder of another project.
    Classes,
    /// The `unsorted` folder of another project.
    Unsorted,
}

/// A file to inspect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Index of its root.
    pub(super) root: usize,
    /// The folders between its root and the file.
    pub(super) folders: Vec<OsString>,
    /// Whether the user named it explicitly, so that it is reported if it is not media.
    pub(super) named: bool,
}

/// A folder in a root that contains no files and no folders (system files do not count).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EmptyFolder {
    pub(super) root: usize,
    /// The folders from the root to this one, inclusive.
    pub(super) folders: Vec<OsString>,
}

/// The result of a search.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) roots: Vec<Root>,
    pub(super) files: Vec<Found>,
    pub(super) empty: Vec<EmptyFolder>,
    /// Reports on everything else: ignored or unreadable.
    pub(super) reports: Vec<FileReport>,
}

/// Searches `paths`; `own` is the folder of the importing project, if there is one.
///
/// Real folders are searched first, then links to folders elsewhere, so that each file is found under its own path and
/// none twice.
pub(super) fn walk(
    paths: &[PathBuf],
    own: Option<&Path>,
    work: &Work,
) -> Result<Walked, MediaError> {
    let mut walk = Walk {
        own: own.map(|own| own.canonicalize().unwrap_or_else(|_| own.to_owned())),
        walked: Walked::default(),
        folders: Vec::new(),
        links: VecDeque::new(),
        seen_folders: HashSet::new(),
        seen_files: HashSet::new(),
        work,
    };
    for path in paths {
        walk.given(path)?;
    }
    while let Some((link, folder)) = walk.links.pop_front() {
        if walk.is_new(&link) {
            walk.folders.push(folder);
            walk.all_folders()?;
        } else {
            walk.pass_over(link, Reason::FolderTwice);
        }
    }
    Ok(walk.walked)
}

/// A folder to search.
struct Folder {
    path: PathBuf,
    root: usize,
    folders: Vec<OsString>,
    /// Why everything in it is ignored.
    passed_over: Option<Reason>,
}

struct Walk<'a> {
    own: Option<PathBuf>,
    walked: Walked,
    folders: Vec<Folder>,
    links: VecDeque<(PathBuf, Folder)>,
    seen_folders: HashSet<PathBuf>,
    seen_files: HashSet<PathBuf>,
    work: &'a Work,
}

impl Walk<'_> {
    fn given(&mut self, path: &Path) -> Result<(), MediaError> {
        self.work.check()?;
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let kind = match files::metadata(path) {
            Ok(found) => found.file_type(),
            Err(error) => {
                if self.is_new_file(path) {
                    self.fail(path.clone(), unreadable(path, error));
                }
                return Ok(());
            }
        };
        if kind.is_dir() {
            if self.is_new(path) {
                let root = self.root(path, RootKind::Folder);
                self.folders.push(Folder {
                    path: path.clone(),
                    root,
                    folders: Vec::new(),
                    passed_over: None,
                });
                self.all_folders()?;
            }
        } else if self.is_new_file(path) {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if self.is_own(&real) {
                self.pass_over(path.clone(), Reason::ThisProject);
            } else if kind.is_file() {
                let parent = path.parent().unwrap_or(Path::new("")).to_owned();
                let root = self.root(&parent, RootKind::Files);
                self.walked.files.push(Found {
                    path: path.clone(),
                    root,
                    folders: Vec::new(),
                    named: true,
                });
            } else {
                self.pass_over(path.clone(), Reason::Special);
            }
        }
        Ok(())
    }

    /// The index of a root, which is added if necessary.
    fn root(&mut self, path: &Path, kind: RootKind) -> usize {
        let roots = &mut self.walked.roots;
        let same = |root: &Root| root.kind == kind && root.path == path;
        roots.iter().position(same).unwrap_or_else(|| {
            roots.push(Root {
                path: path.to_owned(),
                kind,
            });
            roots.len() - 1
        })
    }

    fn is_own(&self, real: &Path) -> bool {
        self.own.as_ref().is_some_and(|own| real.starts_with(own))
    }

    /// Whether a folder has not been searched yet.
    fn is_new(&mut self, folder: &Path) -> bool {
        let real = folder
            .canonicalize()
            .unwrap_or_else(|_| folder.to_path_buf());
        self.seen_folders.insert(real)
    }

    /// Whether a file has not been reported yet, under any path of its folder.
    fn is_new_file(&mut self, path: &Path) -> bool {
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        let key = match (parent, path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path.to_owned(),
        };
        self.seen_files.insert(key)
    }

    fn all_folders(&mut self) -> Result<(), MediaError> {
        while let Some(folder) = self.folders.pop() {
            self.work.check()?;
            self.folder(folder);
        }
        Ok(())
    }

    fn folder(&mut self, mut folder: Folder) {
        let real = folder.path.canonicalize();
        let real = real.unwrap_or_else(|_| folder.path.clone());
        if self.is_own(&real) {
            folder.passed_over = Some(Reason::ThisProject);
        }
        let entries = match files::read_dir(&folder.path) {
            Ok(entries) => entries,
            Err(error) => {
                let sentence = MediaError::read(&folder.path, error).to_string();
                self.fail(folder.path, sentence);
                return;
            }
        };
        let mut children: Vec<(OsString, Option<FileType>)> = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => children.push((entry.file_name(), entry.file_type().ok())),
                Err(error) => {
                    let sentence = MediaError::read(&folder.path, error).to_string();
                    self.fail(folder.path.clone(), sentence);
                    break;
                }
            }
        }
        children.sort_by(|(a, _), (b, _)| {
            natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b))
        });
        let is_project = is_project(&children);
        let mut subfolders = Vec::new();
        let mut empty = true;
        for (name, kind) in children {
            let path = folder.path.join(&name);
            let linked = kind.is_none_or(|kind| kind.is_symlink());
            let kind = match kind {
                Some(kind) if !linked => Ok(kind),
                _ => files::metadata(&path).map(|found| found.file_type()),
            };
            let other = |name: &OsStr| {
                let inside = is_project && folder.passed_over.is_none();
                inside && name != "classes" && name != "unsorted"
            };
            let inherited = folder.passed_over.clone();
            match kind {
                Ok(kind) if kind.is_dir() => {
                    let reason = inherited
                        .or_else(|| other(&name).then_some(Reason::OtherProject))
                        .or_else(|| folder_reason(&name));
                    empty &= reason.is_some();
                    let child = self.subfolder(&folder, path, &name, reason, is_project);
                    if linked {
                        self.links.push_back((child.path.clone(), child));
                    } else if self.is_new(&child.path) {
                        subfolders.push(child);
                    }
                }
                kind => {
                    let reason = inherited
                        .or_else(|| other(&name).then_some(Reason::OtherProject))
                        .or_else(|| file_reason(&name));
                    empty &= reason == Some(Reason::SystemFile);
                    if !self.is_new_file(&path) {
                        continue;
                    }
                    match (reason, kind) {
                        (Some(reason), _) => self.pass_over(path, reason),
                        (None, Ok(kind)) if kind.is_file() => self.walked.files.push(Found {
                            path,
                            root: folder.root,
                            folders: folder.folders.clone(),
                            named: false,
                        }),
                        (None, Ok(_)) => self.pass_over(path, Reason::Special),
                        (None, Err(error)) => {
                            let sentence = unreadable(&path, error);
                            self.fail(path, sentence);
                        }
                    }
                }
            }
        }
        if empty && folder.passed_over.is_none() && !folder.folders.is_empty() {
            self.walked.empty.push(EmptyFolder {
                root: folder.root,
                folders: folder.folders,
            });
        }
        // The last is searched first.
        self.folders.extend(subfolders.into_iter().rev());
    }

    fn subfolder(
        &mut self,
        parent: &Folder,
        path: PathBuf,
        name: &OsStr,
        passed_over: Option<Reason>,
        in_project: bool,
    ) -> Folder {
        if in_project && passed_over.is_none() {
            let kind = if name == "classes" {
                RootKind::Classes
            } else {
                RootKind::Unsorted
            };
            let root = self.root(&path, kind);
            return Folder {
                path,
                root,
                folders: Vec::new(),
                passed_over,
            };
        }
        let mut folders = parent.folders.clone();
        folders.push(name.to_owned());
        Folder {
            path,
            root: parent.root,
            folders,
            passed_over,
        }
    }

    fn pass_over(&mut self, path: PathBuf, reason: Reason) {
        self.walked.reports.push(FileReport {
            path,
            kind: None,
            fate: Fate::PassedOver(reason),
        });
    }

    fn fail(&mut self, path: PathBuf, sentence: String) {
        self.walked.reports.push(FileReport {
            path,
            kind: None,
            fate: Fate::Failed(sentence),
        });
    }
}

/// Why a path cannot be read; a broken link is reported as such.
fn unreadable(path: &Path, error: std::io::Error) -> String {
    if let Ok(target) = fs::read_link(path)
        && error.kind() == ErrorKind::NotFound
    {
        return format!(
            "“{}” is a link to “{}”, which does not exist",
            path.display(),
            target.display()
        );
    }
    MediaError::read(path, error).to_string()
}

/// Whether a folder with these entries is a Salamander project.
fn is_project(entries: &[(OsString, Option<FileType>)]) -> bool {
    let has = |wanted: &str| entries.iter().any(|(name, _)| name == wanted);
    has("project.json") && has("classes")
}

/// Why everything in a folder of this name is ignored.
fn folder_reason(name: &OsStr) -> Option<Reason> {
    let name = name.to_string_lossy().to_lowercase();
    match name.as_str() {
        "@eadir" | ".@__thumb" | "@__thumb" | ".thumbnails" => Some(Reason::DriveThumbnail),
        "#recycle" | "@recycle" | ".recycle" | "$recycle.bin" | "recycler" | ".trash"
        | ".trashes" => Some(Reason::Deleted),
        "__macosx" => Some(Reason::ArchiveLeftover),
        "#snapshot" | "lost+found" | "system volume information" => Some(Reason::SystemFile),
        _ if name.starts_with(".trash-") => Some(Reason::Deleted),
        _ if name.starts_with('.') => Some(Reason::Hidden),
        _ => None,
    }
}

/// Why a file of this name is ignored.
fn file_reason(name: &OsStr) -> Option<Reason> {
    let name = name.to_string_lossy().to_lowercase();
    match name.as_str() {
        ".ds_store" | "thumbs.db" | "ehthumbs.db" | "desktop.ini" | ".directory" | "icon\r" => {
            Some(Reason::SystemFile)
        }
        _ if name.starts_with("._") => Some(Reason::SystemFile),
        _ if name.starts_with('.') => Some(Reason::Hidden),
        _ => None,
    }
}
