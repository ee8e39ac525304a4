//! The plan of an import, made before anything is written: which files, in which classes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::jobs::Work;
use crate::kind::Kind;
use crate::media::MediaError;
use crate::project::{ClassName, Project, Split};

use super::layout::{Layout, Tree, is_no_class, layout, quoted, side_of};
use super::outcome::{Fate, FileReport, Reason};
use super::walk::{EmptyFolder, Found, Root, RootKind, Walked, walk};
use super::{ClassFrom, ImportOptions, without_number};

/// The plan of an import. It can be displayed, the classes of its groups can be changed, and [`super::import_planned`]
/// executes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportPlan {
    /// The files, by class and side.
    pub groups: Vec<PlanGroup>,
    /// Classes of empty class folders, to be created, too.
    pub empty_classes: Vec<ClassName>,
    /// Remarks on the folders, a sentence each.
    pub notes: Vec<String>,
    /// Reports on files that are ignored or unreadable.
    pub reports: Vec<FileReport>,
}

/// Files with a common class.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanGroup {
    /// The folder that the class is named after; otherwise the root, or the folder of files that were given directly.
    pub folder: PathBuf,
    /// Their class; `None` if unsorted.
    pub class: Option<ClassName>,
    /// Why the folder's name cannot be that of a class. Unless it is cleared (or a class is chosen), the files are
    /// reported as failed with this sentence.
    pub refused: Option<String>,
    /// Whether these files were given directly, so that only the user knows their class.
    pub by_themselves: bool,
    /// The side of the split that they were given with.
    pub side: Option<Split>,
    /// The files.
    pub files: Vec<PlannedFile>,
    /// Whether another import will add photos to this group: their source stays unfinished until then.
    pub more_to_come: bool,
}

/// A file to be imported.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFile {
    /// The file.
    pub path: PathBuf,
    /// Its kind: an image or a film.
    pub kind: Kind,
}

impl PlannedFile {
    /// Whether it is a video; otherwise it is an image.
    #[must_use]
    pub fn is_video(&self) -> bool {
        self.kind.is_film()
    }
}

impl ImportPlan {
    /// The number of files to import, unless they exist already or turn out unusable.
    #[must_use]
    pub fn files(&self) -> usize {
        self.groups.iter().map(|group| group.files.len()).sum()
    }

    /// Whether there are files whose class only the user knows, and no class was chosen for all.
    #[must_use]
    pub fn asks_for_class(&self) -> bool {
        self.groups
            .iter()
            .any(|group| group.by_themselves && group.class.is_none() && group.refused.is_none())
    }

    /// Whether files are given with sides of a split.
    #[must_use]
    pub fn gives_split(&self) -> bool {
        self.groups.iter().any(|group| group.side.is_some())
    }

    /// Assigns this class to the files whose class only the user knows.
    pub fn answer(&mut self, class: &ClassName) {
        for group in &mut self.groups {
            if group.by_themselves && group.class.is_none() {
                group.class = Some(class.clone());
                group.refused = None;
            }
        }
    }
}

/// Searches `paths` and plans their import into `project`. Nothing is written.
pub fn plan(
    project: &Project,
    paths: &[PathBuf],
    options: &ImportOptions,
    work: &Work,
) -> Result<ImportPlan, MediaError> {
    work.stage("Searching for files", None);
    let Walked {
        roots,
        files,
        empty,
        reports,
    } = walk(paths, Some(project.root()), work)?;
    let mut plan = ImportPlan {
        reports,
        ..ImportPlan::default()
    };
    let mut media: Vec<(Found, Kind)> = Vec::new();
    for file in files {
        work.check()?;
        match looked(&file) {
            Ok(kind) => media.push((file, kind)),
            Err(report) => plan.reports.push(*report),
        }
        work.advance(1);
    }
    let trees = Trees::of(&roots, &media);
    for tree in &trees.list {
        if options.class_from == ClassFrom::Folder {
            plan.notes.extend(tree.layout.note.clone());
        }
    }
    sort_in(&mut plan, &roots, &trees, media, &options.class_from);
    if options.class_from == ClassFrom::Folder {
        let (classes, others) = trees.empty_classes(&empty);
        plan.empty_classes = classes;
        if !others.is_empty() {
            plan.notes.push(format!(
                "Empty folders with generic names did not become classes ({}); if one is meant as a class, add it by name.",
                quoted(&others)
            ));
        }
    }
    Ok(plan)
}

/// The kind of a file that can be imported; otherwise its report.
fn looked(file: &Found) -> Result<Kind, Box<FileReport>> {
    let report = |kind, fate| {
        Box::new(FileReport {
            path: file.path.clone(),
            kind,
            fate,
        })
    };
    match Kind::of(&file.path) {
        Ok(kind) => match kind.refusal() {
            None => Ok(kind),
            Some(refusal) if says_why(file, kind) => {
                let sentence = MediaError::unusable(&file.path, refusal).to_string();
                Err(report(Some(kind), Fate::Failed(sentence)))
            }
            Some(_) => Err(report(Some(kind), Fate::PassedOver(Reason::NotMedia(kind)))),
        },
        Err(error) => Err(report(None, Fate::Failed(error.to_string()))),
    }
}

/// Whether to explain why a file is not imported: if it was named explicitly, is a raw photo, or has the extension of
/// an image or video. Other files beside images are ignored.
fn says_why(file: &Found, kind: Kind) -> bool {
    file.named
        || matches!(kind, Kind::CameraRaw(_))
        || Kind::of_name(&file.path).is_some_and(Kind::is_media)
}

/// A given tree of folders: one root, or several side by side.
struct GivenTree {
    layout: Layout,
    /// The root, or the folder that contains the roots.
    path: PathBuf,
    /// Whether each root is a folder of level 0.
    several: bool,
    /// Whether its files were given directly and are in one folder.
    one_folder: bool,
    kind: RootKind,
    tree: Tree,
}

/// The trees, and the tree of each root.
struct Trees {
    list: Vec<GivenTree>,
    of_root: Vec<usize>,
    names: Vec<OsString>,
}

impl Trees {
    fn of(roots: &[Root], media: &[(Found, Kind)]) -> Self {
        let name_of = |root: &Root| root.path.file_name().unwrap_or_default().to_owned();
        let mut trees = Self {
            list: Vec::new(),
            of_root: Vec::new(),
            names: roots.iter().map(name_of).collect(),
        };
        // Given folders with a common parent form one tree; so do the folders of given files.
        let mut shared: BTreeMap<(bool, PathBuf), Vec<usize>> = BTreeMap::new();
        for (index, root) in roots.iter().enumerate() {
            let parent = root.path.parent().unwrap_or(Path::new("")).to_owned();
            match root.kind {
                RootKind::Folder => shared.entry((false, parent)).or_default().push(index),
                RootKind::Files => shared
                    .entry((true, PathBuf::new()))
                    .or_default()
                    .push(index),
                RootKind::Classes | RootKind::Unsorted => {}
            }
        }
        trees.of_root = vec![0; roots.len()];
        let mut several: HashMap<usize, usize> = HashMap::new();
        for indices in shared.values() {
            for index in indices {
                several.insert(*index, indices.len());
            }
        }
        let mut place_of: BTreeMap<(bool, PathBuf), usize> = BTreeMap::new();
        for (index, root) in roots.iter().enumerate() {
            let count = several.get(&index).copied().unwrap_or(1);
            let parent = root.path.parent().unwrap_or(Path::new("")).to_owned();
            let is_files = root.kind == RootKind::Files;
            let key = (
                is_files,
                if is_files {
                    PathBuf::new()
                } else {
                    parent.clone()
                },
            );
            let place = (count > 1).then(|| place_of.get(&key).copied()).flatten();
            let place = place.unwrap_or_else(|| {
                trees.list.push(GivenTree {
                    layout: Layout::default(),
                    path: if count > 1 { parent } else { root.path.clone() },
                    several: count > 1,
                    one_folder: is_files && count == 1,
                    kind: root.kind,
                    tree: Tree::default(),
                });
                trees.list.len() - 1
            });
            if count > 1 {
                place_of.insert(key, place);
            }
            if let Some(slot) = trees.of_root.get_mut(index) {
                *slot = place;
            }
        }
        for (file, _) in media {
            let folders = trees.folders_of(file.root, &file.folders);
            let place = trees.of_root.get(file.root).copied().unwrap_or_default();
            if let Some(tree) = trees.list.get_mut(place) {
                tree.tree.add(&folders);
            }
        }
        for given in &mut trees.list {
            let name = given.path.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            let own = given.kind == RootKind::Folder && !given.several;
            given.layout = match given.kind {
                RootKind::Unsorted => Layout::default(),
                RootKind::Classes => Layout {
                    class: Some(0),
                    ..Layout::default()
                },
                RootKind::Files if given.one_folder => Layout::default(),
                _ => layout(&given.tree, own.then_some(name.as_str())),
            };
        }
        trees
    }

    fn tree(&self, root: usize) -> Option<&GivenTree> {
        self.list.get(*self.of_root.get(root)?)
    }

    /// The folders of a file, as levels of its tree.
    fn folders_of(&self, root: usize, folders: &[OsString]) -> Vec<OsString> {
        let several = self.tree(root).is_some_and(|tree| tree.several);
        let own = self.names.get(root).filter(|_| several).cloned();
        own.into_iter().chain(folders.iter().cloned()).collect()
    }

    /// The classes of empty folders beside class folders, and the names of empty folders that are no classes.
    fn empty_classes(&self, empty: &[EmptyFolder]) -> (Vec<ClassName>, BTreeSet<String>) {
        let mut classes = Vec::new();
        let mut others = BTreeSet::new();
        for folder in empty {
            let Some(tree) = self.tree(folder.root) else {
                continue;
            };
            let folders = self.folders_of(folder.root, &folder.folders);
            let at_level = tree
                .layout
                .class
                .is_some_and(|level| folders.len() == level + 1);
            let name = folders.last().and_then(|name| name.to_str());
            let Some(name) = name.filter(|_| at_level) else {
                continue;
            };
            // Classes of another project are classes, whatever their names are.
            let is_class = tree.kind == RootKind::Classes || !is_no_class(name);
            match ClassName::new(name) {
                Ok(class) if is_class => {
                    if !classes.contains(&class) {
                        classes.push(class);
                    }
                }
                _ => {
                    others.insert(name.to_owned());
                }
            }
        }
        (classes, others)
    }
}

/// Sorts the files into groups with one class and side.
fn sort_in(
    plan: &mut ImportPlan,
    roots: &[Root],
    trees: &Trees,
    media: Vec<(Found, Kind)>,
    from: &ClassFrom,
) {
    type Key = (PathBuf, Option<ClassName>, Option<String>, Option<u8>, bool);
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut alone = Vec::new();
    for (file, kind) in media {
        let (Some(root), Some(tree)) = (roots.get(file.root), trees.tree(file.root)) else {
            continue;
        };
        let folders = trees.folders_of(file.root, &file.folders);
        let mut by_themselves = false;
        let mut folder = root.path.clone();
        let class = match from {
            ClassFrom::Nothing => Ok(None),
            ClassFrom::Chosen(class) => Ok(Some(class.clone())),
            ClassFrom::File => {
                class_called(&without_number(&crate::media::still::stem(&file.path)))
                    .map_err(|error| format!("{error}; rename the file “{}”", file.path.display()))
            }
            ClassFrom::Folder => {
                let level = tree.layout.class.and_then(|level| folders.get(level));
                by_themselves = root.kind == RootKind::Files && level.is_none();
                match level {
                    Some(name) => {
                        if root.kind != RootKind::Files {
                            folder =
                                folder_at(tree, &folders, tree.layout.class.unwrap_or_default());
                        }
                        match name.to_str() {
                            // Where this program and others keep files without a class.
                            Some(name) if ClassName::is_unsorted(name) => Ok(None),
                            Some(name) => class_called(name).map_err(|error| {
                                format!("{error}; rename the folder “{}”", folder.display())
                            }),
                            None => Err(format!(
                                "the folder “{}” cannot become a class, because its name is not valid Unicode; rename it",
                                folder.display()
                            )),
                        }
                    }
                    None if tree.layout.own_name => {
                        let name = tree.path.file_name().unwrap_or_default();
                        class_called(&name.to_string_lossy()).map_err(|error| {
                            format!("{error}; rename the folder “{}”", tree.path.display())
                        })
                    }
                    None => Ok(None),
                }
            }
        };
        // A split may be given however classes are determined.
        let side_level = tree.layout.side.filter(|level| folders.len() > *level);
        let side = side_level.and_then(|level| side_of(&folders.get(level)?.to_string_lossy()));
        if let Some(level) = side_level.filter(|_| folder == root.path)
            && root.kind != RootKind::Files
        {
            folder = folder_at(tree, &folders, level);
        }
        let (class, refused) = match class {
            Ok(class) => (class, None),
            Err(sentence) => (None, Some(sentence)),
        };
        if by_themselves {
            alone.push(file.path.clone());
        }
        let side_number = side.map(|side| side as u8);
        let key = (
            folder.clone(),
            class.clone(),
            refused.clone(),
            side_number,
            by_themselves,
        );
        let place = *places.entry(key).or_insert_with(|| {
            plan.groups.push(PlanGroup {
                folder,
                class,
                refused,
                by_themselves,
                side,
                files: Vec::new(),
                more_to_come: false,
            });
            plan.groups.len() - 1
        });
        if let Some(group) = plan.groups.get_mut(place) {
            group.files.push(PlannedFile {
                path: file.path,
                kind,
            });
        }
    }
    if let Some(first) = alone.first() {
        let name = first.file_name().unwrap_or_default().to_string_lossy();
        let folder = first.parent().and_then(Path::file_name).unwrap_or_default();
        let folder = folder.to_string_lossy();
        plan.notes.push(match alone.len() {
            1 => format!(
                "“{name}” was given individually, so the name of its folder (“{folder}”) is not used as its class; it stays unsorted until you choose a class."
            ),
            count => format!(
                "{count} files were given individually, so the name of their folder (“{folder}”) is not used as their class; they stay unsorted until you choose a class."
            ),
        });
    }
}

/// The folder of a level that contains a file.
fn folder_at(tree: &GivenTree, folders: &[OsString], level: usize) -> PathBuf {
    let mut path = tree.path.clone();
    path.extend(folders.iter().take(level + 1));
    path
}

fn class_called(name: &str) -> Result<Option<ClassName>, String> {
    ClassName::new(name)
        .map(Some)
        .map_err(|error| error.to_string())
}
