//! `project.json`: its contents, how it is read, and how it is written so that no crash can damage it.

use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files::{self, Durability, NewFile};

use super::class_list::Retired;
use super::split_memory::SplitMemory;
use super::{Class, ClassId, ClassName, ImportRecord, ProjectError, Source};

/// The version of the format that this program writes, and the latest that it reads.
pub(super) const SCHEMA: u64 = 1;

const FILE: &str = "project.json";
const BACKUP: &str = "project.json.bak";
const DAMAGED: &str = "project.json.damaged";

/// The most classes in a project: each is a folder, and a row and a column of every confusion matrix.
const MOST_CLASSES: usize = 65_536;

/// The names of `project.json` and the files beside it.
pub(super) const FILES: [&str; 3] = [FILE, BACKUP, DAMAGED];

/// A value with unknown fields, which are written back unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WithUnknownFields<T> {
    /// The value.
    #[serde(flatten)]
    pub(super) item: T,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl<T> From<T> for WithUnknownFields<T> {
    fn from(item: T) -> Self {
        Self {
            item,
            other: Map::new(),
        }
    }
}

/// A begun change of several steps. The next process that opens the project completes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "their names are in project.json")]
pub(super) enum Pending {
    /// Rename the folder of class `from` to that of class `to`.
    RenameClass {
        /// Old name.
        from: ClassName,
        /// New name.
        to: ClassName,
    },
    /// Move the frames of this class to unsorted, then remove its folder.
    RemoveClass(ClassName),
    /// Move the frames of class `from` to class `into`, then remove its folder.
    MergeClass {
        /// The class that is removed.
        from: ClassName,
        /// The class that gets its frames.
        into: ClassName,
    },
    /// Undo an import.
    TakeBackImport(Box<ImportRecord>),
}

/// The contents of `project.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    /// See [`SCHEMA`].
    pub(super) schema: u64,
    /// Shown to the user.
    pub(super) name: String,
    /// When the project was created, RFC 3339.
    #[serde(default)]
    pub(super) created: String,
    /// The classes in the user's order.
    #[serde(default)]
    pub(super) classes: Vec<WithUnknownFields<Class>>,
    /// Former classes, to which earlier runs may refer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) retired: Vec<WithUnknownFields<Retired>>,
    /// The sources, oldest first.
    #[serde(default)]
    pub(super) sources: Vec<WithUnknownFields<Source>>,
    /// Settings of other layers, by key.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, Value>,
    /// The recorded side of each group.
    #[serde(default)]
    pub(super) splits: SplitMemory,
    /// A begun change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<Pending>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Document {
    /// The document of a new project.
    pub(super) fn new(name: &str) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            created: jiff::Timestamp::now().to_string(),
            classes: Vec::new(),
            retired: Vec::new(),
            sources: Vec::new(),
            settings: BTreeMap::new(),
            splits: SplitMemory::default(),
            pending: None,
            other: Map::new(),
        }
    }

    /// The reason why this program cannot have written it, as a part of a sentence: it may have been edited, or come
    /// from anywhere.
    pub(super) fn fault(&self) -> Option<String> {
        for (count, what) in [
            (self.classes.len(), "classes"),
            (self.retired.len(), "classes that are gone"),
        ] {
            if count > MOST_CLASSES {
                return Some(format!(
                    "it has {count} {what}; the limit is {MOST_CLASSES}"
                ));
            }
        }
        if !self.splits.settings.is_possible() {
            return Some("its split leaves nothing to train on".to_owned());
        }
        self.sources.iter().find_map(|source| {
            let source = &source.item;
            Some(format!("the source “{}” {}", source.name, source.fault()?))
        })
    }

    /// The position of the class in the user's order.
    pub(super) fn position(&self, name: &ClassName) -> Option<usize> {
        self.classes.iter().position(|c| c.item.name == *name)
    }

    /// A new class of this name, to be inserted by the caller. Its identity is that which old runs derive from the
    /// name, unless a former class has that; a class that disappeared without being deleted gets its own identity
    /// back.
    pub(super) fn new_class(&mut self, name: &ClassName) -> Class {
        let again = self
            .retired
            .iter()
            .rposition(|old| old.item.returns && old.item.name == *name);
        let derived = ClassId::of_name(name.as_str());
        let is_taken = |document: &Self| {
            document
                .classes
                .iter()
                .any(|class| class.item.id == derived)
                || document.retired.iter().any(|old| old.item.id == derived)
        };
        let id = match again {
            Some(at) => self.retired.remove(at).item.id,
            None if is_taken(self) => ClassId::random(),
            None => derived,
        };
        Class {
            id,
            name: name.clone(),
            color: self.free_color(),
        }
    }

    /// Removes a class from the list and records what happened to it, for runs that refer to it.
    pub(super) fn retire(&mut self, name: &ClassName, merged_into: Option<ClassId>, returns: bool) {
        if let Some(at) = self.position(name) {
            let Class { id, name, .. } = self.classes.remove(at).item;
            self.retire_as(Retired {
                id,
                name,
                merged_into,
                returns,
            });
        }
    }

    /// Records a former class.
    pub(super) fn retire_as(&mut self, retired: Retired) {
        self.unretire(retired.id);
        self.retired.push(retired.into());
    }

    /// Removes a class from the former ones, because it exists again.
    pub(super) fn unretire(&mut self, id: ClassId) {
        self.retired.retain(|old| old.item.id != id);
    }

    /// The smallest colour index that no class has.
    pub(super) fn free_color(&self) -> usize {
        let taken: HashSet<usize> = self.classes.iter().map(|c| c.item.color).collect();
        (0..=taken.len())
            .find(|color| !taken.contains(color))
            .unwrap_or_default()
    }
}

/// A document that was read, with a remark for the user.
pub(super) struct Loaded {
    /// The content.
    pub(super) document: Document,
    /// A sentence if it had to be recovered.
    pub(super) notice: Option<String>,
}

/// Whether `root` contains a `project.json`, or at least a readable backup of it.
pub(super) fn exists(root: &Path) -> bool {
    files::exists(root.join(FILE)) || load(root).is_ok()
}

/// Reads `project.json` without changing anything. If it is damaged, its previous version is read.
pub(super) fn load(root: &Path) -> Result<Loaded, ProjectError> {
    let path = root.join(FILE);
    let trouble = match read(&path, root)? {
        Ok(document) => {
            return Ok(Loaded {
                document,
                notice: None,
            });
        }
        Err(trouble) => trouble,
    };
    match read(&root.join(BACKUP), root)? {
        Ok(document) => Ok(Loaded {
            document,
            notice: Some(match trouble {
                Trouble::Missing => format!("{FILE} was missing; its previous version was used."),
                Trouble::Damaged(_) => format!(
                    "{FILE} was damaged; its previous version was used, and the damaged file was kept as {DAMAGED}. Classes and frames are those of the folders."
                ),
            }),
        }),
        Err(_) => Err(match trouble {
            Trouble::Damaged(reason) => ProjectError::Damaged { path, reason },
            Trouble::Missing if files::is_dir(root.join("classes")) => ProjectError::ClassesOnly {
                path: root.to_owned(),
            },
            Trouble::Missing if !files::exists(root) => ProjectError::NoFolder {
                path: root.to_owned(),
            },
            Trouble::Missing => ProjectError::NotAProject {
                path: root.to_owned(),
            },
        }),
    }
}

enum Trouble {
    Missing,
    Damaged(String),
}

/// The outer error ends the search for a readable version, the inner one does not.
fn read(path: &Path, root: &Path) -> Result<Result<Document, Trouble>, ProjectError> {
    let bytes = match files::read_document(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Err(Trouble::Missing)),
        Err(error) => return Err(ProjectError::io("read", path)(error)),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Err(Trouble::Damaged("it is empty".into())));
    }
    // The version first: a newer format may not match the structure here.
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => return Ok(Err(Trouble::Damaged(error.to_string()))),
    };
    match value.get("schema").and_then(Value::as_u64) {
        Some(found) if found > SCHEMA => {
            return Err(ProjectError::NewerSchema {
                path: root.to_owned(),
                found,
                known: SCHEMA,
            });
        }
        Some(_) => {}
        None => return Ok(Err(Trouble::Damaged("it has no schema version".into()))),
    }
    let document: Document = match serde_json::from_value(value) {
        Ok(document) => document,
        Err(error) => return Ok(Err(Trouble::Damaged(error.to_string()))),
    };
    Ok(match document.fault() {
        Some(fault) => Err(Trouble::Damaged(fault)),
        None => Ok(document),
    })
}

/// Keeps a damaged `project.json` under another name before it is replaced.
pub(super) fn set_damaged_aside(root: &Path) -> Result<(), ProjectError> {
    let path = root.join(FILE);
    match files::rename(&path, root.join(DAMAGED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ProjectError::io("move", &path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes `project.json` so that it survives a power failure. The previous version becomes `project.json.bak`. A
/// complete `project.json` exists at every moment.
pub(super) fn save(root: &Path, document: &Document) -> Result<(), ProjectError> {
    let path = root.join(FILE);
    let fail = || ProjectError::io("write", &path);
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| fail()(error.into()))?;
    bytes.push(b'\n');
    let mut file = NewFile::beside(&path)?;
    file.write_all(&bytes).map_err(fail())?;
    keep_previous(root).map_err(ProjectError::io("write", &root.join(BACKUP)))?;
    file.commit(Durability::Synced)?;
    Ok(())
}

fn keep_previous(root: &Path) -> std::io::Result<()> {
    let (path, backup) = (root.join(FILE), root.join(BACKUP));
    if !files::exists(&path) {
        return Ok(());
    }
    match files::remove_file(&backup) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A hard link costs nothing; file systems without hard links get a copy.
    files::hard_link(&path, &backup).or_else(|_| {
        files::copy(&path, &backup, Durability::Renamed).map_err(|failed| failed.error)
    })
}

/// Whether a name is that of `project.json` or a file beside it.
pub(super) fn is_document_file(name: &str) -> bool {
    FILES.contains(&name)
}

/// `project.json` and its previous version.
pub(super) fn files(root: &Path) -> [PathBuf; 2] {
    [root.join(FILE), root.join(BACKUP)]
}

/// The path of `project.json` in `root`.
pub(super) fn path(root: &Path) -> PathBuf {
    root.join(FILE)
}
