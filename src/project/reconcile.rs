//! Updates the list of classes to match the class folders.

use super::class::clash_key;
use super::class_list::Retired;
use super::document::{Document, WithUnknownFields};
use super::{Class, ClassId, ClassName};

/// A class with its folder in `classes/` (whose name may differ in the composition of accents, if the file system
/// treats both as equal).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassFolder {
    /// The class.
    pub(super) name: ClassName,
    /// The name of the folder as listed.
    pub(super) folder: String,
}

/// Updates the list of classes to match the folders in `classes/`: new folders become classes, and classes without a
/// folder are removed. A new folder with the frames of a class without a folder is that class under another name. If
/// exactly one folder is missing, one is new, and it is unknown whether they have the same frames, they are two
/// classes, but the new one gets the position and the colour of the other.
///
/// `same_folder` returns whether a name opens a folder that is listed with another spelling, `held` whether a folder
/// has the frames of a class (`None` if unknown). Returns the folder of each class, in the order of the classes, and a
/// sentence for each folder that is no class.
pub(super) fn reconcile(
    document: &mut Document,
    mut folders: Vec<String>,
    same_folder: impl Fn(&str) -> bool,
    held: impl Fn(ClassId, &str) -> Option<bool>,
) -> (Vec<ClassFolder>, Vec<String>) {
    let mut warnings = Vec::new();
    folders.sort_by(|a, b| super::scan::natural_cmp(a, b));

    // Match known classes with folders: exact names first.
    let mut homes: Vec<Option<String>> = vec![None; document.classes.len()];
    for (class, home) in document.classes.iter().zip(&mut homes) {
        if let Some(at) = folders.iter().position(|f| f == class.item.name.as_str()) {
            *home = Some(folders.remove(at));
        }
    }
    for (class, home) in document.classes.iter_mut().zip(&mut homes) {
        if home.is_some() {
            continue;
        }
        let key = class.item.name.clash_key();
        if let Some(at) = folders.iter().position(|f| clash_key(f) == key) {
            let folder = folders.remove(at);
            // The file system's own spelling of the same folder, or renamed by hand?
            if !same_folder(class.item.name.as_str())
                && let Ok(name) = ClassName::new(&folder)
            {
                document.splits.rename_class(&class.item.name, &name);
                class.item.name = name;
            }
            *home = Some(folder);
        }
    }

    let mut keys: Vec<(String, String)> = document
        .classes
        .iter()
        .zip(&homes)
        .filter(|(_, home)| home.is_some())
        .map(|(class, _)| (class.item.name.clash_key(), class.item.name.to_string()))
        .collect();
    let mut new = Vec::new();
    for folder in folders {
        let name = match ClassName::new(&folder) {
            Ok(name) => name,
            Err(error) => {
                warnings.push(format!(
                    "The folder “classes/{folder}” was left out: {error}. Rename it to use its frames."
                ));
                continue;
            }
        };
        let key = name.clash_key();
        if let Some((_, other)) = keys.iter().find(|(known, _)| *known == key) {
            warnings.push(format!(
                "The folder “classes/{folder}” was left out: some systems do not distinguish it from “classes/{other}”. Rename it or move its frames to the other."
            ));
            continue;
        }
        keys.push((key, folder.clone()));
        new.push((name, folder));
    }

    follow_renames(document, &mut homes, &mut new, held);

    let mut kept: Vec<(WithUnknownFields<Class>, String)> = Vec::new();
    for (class, home) in std::mem::take(&mut document.classes).into_iter().zip(homes) {
        match home {
            Some(home) => kept.push((class, home)),
            None => document.retire_as(gone(class.item)),
        }
    }
    document.classes = kept.iter().map(|(class, _)| class.clone()).collect();
    for (name, folder) in new {
        let class = WithUnknownFields::from(document.new_class(&name));
        document.classes.push(class.clone());
        kept.push((class, folder));
    }
    let places = kept
        .into_iter()
        .map(|(class, folder)| ClassFolder {
            name: class.item.name,
            folder,
        })
        .collect();
    (places, warnings)
}

/// The record of a class without a folder.
fn gone(class: Class) -> Retired {
    Retired {
        id: class.id,
        name: class.name,
        merged_into: None,
        returns: true,
    }
}

/// Matches classes without a folder to new folders, and removes those from the list of new ones.
fn follow_renames(
    document: &mut Document,
    homes: &mut [Option<String>],
    new: &mut Vec<(ClassName, String)>,
    held: impl Fn(ClassId, &str) -> Option<bool>,
) {
    let lost: Vec<usize> = (0..homes.len())
        .filter(|at| homes.get(*at).is_some_and(Option::is_none))
        .collect();
    if lost.is_empty() || new.is_empty() {
        return;
    }
    let mut pairs = Vec::new();
    let mut unknown = false;
    for at in &lost {
        let Some(class) = document.classes.get(*at) else {
            continue;
        };
        for (name, folder) in new.iter() {
            match held(class.item.id, folder) {
                Some(true) => pairs.push((*at, name.clone())),
                Some(false) => {}
                None => unknown = true,
            }
        }
    }
    for (at, name) in &pairs {
        // Certain if it is the only folder for the class, and the class the only one for the folder.
        let rivals = pairs.iter().filter(|(a, n)| a == at || n == name).count();
        let place = new.iter().position(|(found, _)| found == name);
        if rivals == 1
            && let Some(place) = place
            && let (Some(class), Some(home)) = (document.classes.get_mut(*at), homes.get_mut(*at))
        {
            let (name, folder) = new.remove(place);
            document.splits.rename_class(&class.item.name, &name);
            class.item.name = name;
            *home = Some(folder);
        }
    }
    if let ([at], [(name, _)], true) = (lost.as_slice(), new.as_slice(), unknown) {
        let name = name.clone();
        let id = document.new_class(&name).id;
        if let (Some(class), Some(home)) = (document.classes.get_mut(*at), homes.get_mut(*at)) {
            let before = class.item.clone();
            document.splits.rename_class(&before.name, &name);
            class.item.id = id;
            class.item.name = name;
            *home = new.pop().map(|(_, folder)| folder);
            document.retire_as(gone(before));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;
    use crate::project::{ClassList, ClassNow};

    fn document(classes: &[&str]) -> Document {
        let mut document = Document::new("p");
        for (color, name) in classes.iter().enumerate() {
            let name = ClassName::new(name).unwrap();
            let mut class = document.new_class(&name);
            class.color = color;
            document.classes.push(class.into());
        }
        document
    }

    fn after(known: &[&str], folders: &[&str]) -> (Vec<(String, usize)>, usize) {
        let mut document = document(known);
        let folders = folders.iter().map(|f| (*f).to_owned()).collect();
        let (places, warnings) = reconcile(&mut document, folders, |_| false, |_, _| None);
        assert_eq!(places.len(), document.classes.len());
        for (place, class) in places.iter().zip(&document.classes) {
            assert_eq!(place.name, class.item.name);
            assert_eq!(place.folder, place.name.as_str());
        }
        let classes = document.classes.iter();
        (
            classes
                .map(|c| (c.item.name.to_string(), c.item.color))
                .collect(),
            warnings.len(),
        )
    }

    fn list(classes: &[(&str, usize)]) -> Vec<(String, usize)> {
        classes.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect()
    }

    #[test]
    fn new_folders_become_classes_in_natural_order() {
        assert_eq!(
            after(&["b"], &["b", "a10", "a2"]),
            (list(&[("b", 0), ("a2", 1), ("a10", 2)]), 0)
        );
    }

    #[test]
    fn a_folder_renamed_by_hand_keeps_place_and_colour() {
        assert_eq!(
            after(&["cat", "dog", "fox"], &["cat", "Hund", "fox"]),
            (list(&[("cat", 0), ("Hund", 1), ("fox", 2)]), 0)
        );
        assert_eq!(
            after(&["cat", "dog"], &["Cat", "dog"]),
            (list(&[("Cat", 0), ("dog", 1)]), 0)
        );
    }

    #[test]
    fn a_class_without_folder_leaves_and_its_colour_is_free_again() {
        assert_eq!(
            after(&["cat", "dog", "fox"], &["fox", "cat"]),
            (list(&[("cat", 0), ("fox", 2)]), 0)
        );
        assert_eq!(
            after(&["cat", "dog", "fox"], &["fox", "cow", "ant"]),
            (list(&[("fox", 2), ("ant", 0), ("cow", 1)]), 0)
        );
    }

    #[test]
    fn twins_and_impossible_names_are_reported_not_merged() {
        assert_eq!(
            after(&["Ärger"], &["A\u{308}rger", "Ärger", "ärger"]),
            (list(&[("Ärger", 0)]), 2)
        );
        assert_eq!(
            after(&[], &["Cat", "cat", "a:b", "CON", "dog"]),
            (list(&[("Cat", 0), ("dog", 1)]), 3)
        );
    }

    #[test]
    fn another_spelling_by_the_file_system_keeps_the_name_as_typed() {
        let mut document = document(&["Ärger"]);
        let folders = vec!["A\u{308}rger".to_owned()];
        let (places, warnings) =
            reconcile(&mut document, folders, |name| name == "Ärger", |_, _| None);
        assert_eq!(
            places,
            [ClassFolder {
                name: ClassName::new("Ärger").unwrap(),
                folder: "A\u{308}rger".to_owned()
            }]
        );
        assert!(warnings.is_empty());
    }

    /// The names of the classes, with the names that their identities are derived from; `None` for a random identity.
    fn identities(document: &Document, known: &[&str]) -> Vec<(String, Option<String>)> {
        let of = |id| known.iter().find(|name| ClassId::of_name(name) == id);
        let classes = document.classes.iter().map(|class| &class.item);
        classes
            .map(|class| {
                (
                    class.name.to_string(),
                    of(class.id).map(|n| (*n).to_owned()),
                )
            })
            .collect()
    }

    fn list_of(pairs: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let owned = pairs
            .iter()
            .map(|(name, id)| ((*name).to_owned(), Some((*id).to_owned())));
        owned.collect()
    }

    #[test]
    fn a_folder_with_the_same_frames_is_the_same_class() {
        let known = ["cat", "dog", "fox", "katze", "hund"];
        let mut document = document(&["cat", "dog", "fox"]);
        let frames = |class: ClassId, folder: &str| {
            let holds = [("cat", "katze"), ("dog", "hund")];
            Some(
                holds
                    .iter()
                    .any(|(c, f)| ClassId::of_name(c) == class && *f == folder),
            )
        };
        let folders = |names: &[&str]| names.iter().map(|f| (*f).to_owned()).collect();
        // Two at once, and a third folder that is new.
        let found = folders(&["hund", "katze", "fox", "cow"]);
        reconcile(&mut document, found, |_| false, frames);
        let now = identities(&document, &known);
        assert_eq!(
            now[..3],
            list_of(&[("katze", "cat"), ("hund", "dog"), ("fox", "fox")])
        );
        assert!(document.retired.is_empty());
    }

    #[test]
    fn a_folder_with_other_frames_is_another_class_and_one_that_returns_is_itself() {
        let known = ["cat", "dog", "cow"];
        let mut document = document(&["cat", "dog"]);
        let folders = |names: &[&str]| names.iter().map(|f| (*f).to_owned()).collect();
        let found = folders(&["cow", "dog"]);
        reconcile(&mut document, found, |_| false, |_, _| Some(false));
        let now = identities(&document, &known);
        assert_eq!(now, list_of(&[("dog", "dog"), ("cow", "cow")]));
        let cat = ClassId::of_name("cat");
        assert_eq!(ClassList::of(&document).now(cat), Some(ClassNow::Deleted));
        let found = folders(&["cow", "dog", "cat"]);
        reconcile(&mut document, found, |_| false, |_, _| Some(false));
        assert!(matches!(
            ClassList::of(&document).now(cat),
            Some(ClassNow::Present(_))
        ));
    }

    #[test]
    fn two_folders_that_could_both_be_it_are_new_classes() {
        let mut document = document(&["cat"]);
        let found = ["a", "b"].map(str::to_owned).to_vec();
        reconcile(&mut document, found, |_| false, |_, _| Some(true));
        let cat = ClassId::of_name("cat");
        assert_eq!(ClassList::of(&document).now(cat), Some(ClassNow::Deleted));
        assert_eq!(document.classes.len(), 2);
    }

    #[test]
    fn nobody_knowing_leaves_place_and_colour_and_not_the_identity() {
        let mut document = document(&["cat", "dog"]);
        let found = ["katze", "dog"].map(str::to_owned).to_vec();
        reconcile(&mut document, found, |_| false, |_, _| None);
        let first = &document.classes[0].item;
        assert_eq!((first.name.as_str(), first.color), ("katze", 0));
        assert_eq!(first.id, ClassId::of_name("katze"));
        assert_eq!(
            ClassList::of(&document).now(ClassId::of_name("cat")),
            Some(ClassNow::Deleted)
        );
    }
}
