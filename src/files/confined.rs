//! Folders in which no link is followed: projects, which may come from anyone.
//!
//! A project unpacked from an archive may contain links, and a link may lead anywhere. Once a folder is
//! [confined](confine), every function of [`super`] opens a path in it folder by folder and fails at a link. Links
//! above the folder belong to the user and are followed.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use parking_lot::RwLock;

/// Confined folders, as long as the process exists: work that outlasts a project must not follow its links either.
static ROOTS: RwLock<Vec<Root>> = RwLock::new(Vec::new());

struct Root {
    path: PathBuf,
    followed: Vec<FollowedLink>,
}

/// A link to a folder, in a confined one, that the user agreed to follow for reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FollowedLink {
    /// Its path, relative to the confined folder.
    pub link: PathBuf,
    /// Its target, absolute and without links. If the link has another target now, it is not followed.
    pub target: PathBuf,
}

impl FollowedLink {
    /// The link at `link`, relative to `root`; `None` if it is no link or its target is no folder.
    #[must_use]
    pub fn at(root: &Path, link: &Path) -> Option<Self> {
        let path = root.join(link);
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        let target = is_link.then(|| std::fs::canonicalize(&path).ok())??;
        target.is_dir().then(|| Self {
            link: link.to_owned(),
            target,
        })
    }
}

/// From now on, no link in the folder `root` is followed, except those passed to [`follow`].
///
/// # Errors
/// If `root` is relative and the working directory does not exist.
pub fn confine(root: &Path) -> io::Result<()> {
    let names = names_of(root)?;
    let mut roots = ROOTS.write();
    for path in names {
        if !roots.iter().any(|known| known.path == path) {
            roots.push(Root {
                path,
                followed: Vec::new(),
            });
        }
    }
    Ok(())
}

/// From now on, a link in the confined folder `root` is followed for reading, as long as its target stays the same.
///
/// # Errors
/// If `root` is relative and the working directory does not exist.
pub fn follow(root: &Path, link: &FollowedLink) -> io::Result<()> {
    let names = names_of(root)?;
    let mut roots = ROOTS.write();
    for known in roots.iter_mut().filter(|known| names.contains(&known.path)) {
        if !known.followed.contains(link) {
            known.followed.push(link.clone());
        }
    }
    Ok(())
}

/// Whether [`follow`] was called for a link.
#[must_use]
pub fn is_followed(root: &Path, link: &FollowedLink) -> bool {
    let names = names_of(root).unwrap_or_default();
    let roots = ROOTS.read();
    roots
        .iter()
        .any(|known| names.contains(&known.path) && known.followed.contains(link))
}

/// The paths of a folder: as given, and with links resolved.
fn names_of(root: &Path) -> io::Result<Vec<PathBuf>> {
    let absolute = std::path::absolute(root)?;
    let canonical = std::fs::canonicalize(root).unwrap_or_else(|_| absolute.clone());
    Ok(vec![absolute, canonical])
}

/// The purpose of accessing a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reading: links are followed if the user agreed.
    Read,
    /// Creating, writing, renaming or deleting: no link is followed.
    Change,
}

/// A path in a confined folder.
pub(super) struct Confined {
    /// The confined folder.
    pub root: PathBuf,
    /// The rest of the path, without `..`; may be empty.
    pub below: PathBuf,
}

/// The confined folder that contains a path, if there is one.
///
/// # Errors
/// If an absolute path leaves a confined folder through `..`. A relative one was typed by the user.
pub(super) fn confined(path: &Path, purpose: Purpose) -> io::Result<Option<Confined>> {
    let roots = ROOTS.read();
    if roots.is_empty() {
        return Ok(None);
    }
    // The folder of a bare name is the working directory.
    let is_empty = path.as_os_str().is_empty();
    let mut absolute = std::path::absolute(if is_empty { Path::new(".") } else { path })?;
    if path.is_relative() {
        absolute = without_parents(&absolute);
    }
    let inside = roots
        .iter()
        .filter(|root| absolute.starts_with(&root.path))
        .max_by_key(|root| root.path.as_os_str().len());
    let Some(root) = inside else {
        return Ok(None);
    };
    let below = absolute.strip_prefix(&root.path).unwrap_or(Path::new(""));
    if !below
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        let text = format!("“{}” leads outside the project", path.display());
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    if purpose == Purpose::Read {
        for known in &root.followed {
            if let Ok(rest) = below.strip_prefix(&known.link)
                && FollowedLink::at(&root.path, &known.link).as_ref() == Some(known)
            {
                return Ok(Some(Confined {
                    root: known.target.clone(),
                    below: rest.to_owned(),
                }));
            }
        }
    }
    Ok(Some(Confined {
        root: root.path.clone(),
        below: below.to_owned(),
    }))
}

/// The path with each `..` removed together with the name before it.
fn without_parents(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            part => found.push(part),
        }
    }
    found
}

/// A link where none may be.
#[derive(Debug)]
struct LinkInTheWay {
    link: PathBuf,
    target: Option<PathBuf>,
}

impl fmt::Display for LinkInTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "“{}” is a link", self.link.display())?;
        if let Some(target) = &self.target {
            write!(f, " to “{}”", target.display())?;
        }
        f.write_str(", which is not followed; replace it with what it points to")
    }
}

impl std::error::Error for LinkInTheWay {}

/// The error for a link that may not be followed.
pub(super) fn link_in_the_way(link: &Path) -> io::Error {
    let link = LinkInTheWay {
        link: link.to_owned(),
        target: std::fs::read_link(link).ok(),
    };
    io::Error::new(ErrorKind::InvalidInput, link)
}

/// Whether an operation failed because of a link that may not be followed.
#[must_use]
pub fn is_link_in_the_way(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<LinkInTheWay>)
}
