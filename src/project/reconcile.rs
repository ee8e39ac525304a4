//! Following the class folders: what they show is brought into the list of classes.

use super::class::clash_key;
use super::document::{Document, Kept};
use super::{Class, ClassName};

/// A class and the folder in `classes/` that holds its frames (the name may differ in the composition of
/// its accents where the file system takes both for the same).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassFolder {
    /// The class.
    pub(super) name: ClassName,
    /// The folder as listed.
    pub(super) folder: String,
}

/// Brings the list of classes in line with the folders found in `classes/`: new folders become classes, a
/// class whose folder is gone leaves the list. One gone and one new at the same time is taken for a rename,
/// which keeps place and colour.
///
/// `same_folder` tells whether a name opens a folder that is listed under another spelling. Returns the
/// folder of each class, in the order of the classes, and a sentence for each folder that is no class.
pub(super) fn reconcile(
    document: &mut Document,
    mut folders: Vec<String>,
    same_folder: impl Fn(&str) -> bool,
) -> (Vec<ClassFolder>, Vec<String>) {
    let mut warnings = Vec::new();
    folders.sort_by(|a, b| super::scan::natural_cmp(a, b));

    // Known classes take their folders: those of exactly their name first.
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
            // The file system's own spelling of the same folder, or a rename by hand?
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
                "The folder “classes/{folder}” was left out: some systems would take it for the same as “classes/{other}”. Rename it or put its frames into the other."
            ));
            continue;
        }
        keys.push((key, folder.clone()));
        new.push((name, folder));
    }

    if new.len() == 1
        && homes.iter().filter(|home| home.is_none()).count() == 1
        && let Some(at) = homes.iter().position(Option::is_none)
        && let (Some(class), Some(home)) = (document.classes.get_mut(at), homes.get_mut(at))
        && let Some((name, folder)) = new.pop()
    {
        document.splits.rename_class(&class.item.name, &name);
        class.item.name = name;
        *home = Some(folder);
    }

    let mut kept: Vec<(Kept<Class>, String)> = std::mem::take(&mut document.classes)
        .into_iter()
        .zip(homes)
        .filter_map(|(class, home)| Some((class, home?)))
        .collect();
    document.classes = kept.iter().map(|(class, _)| class.clone()).collect();
    for (name, folder) in new {
        let color = document.free_color();
        let class = Kept::from(Class { name, color });
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    fn document(classes: &[&str]) -> Document {
        let mut document = Document::new("p");
        for (color, name) in classes.iter().enumerate() {
            let name = ClassName::new(name).unwrap();
            document.classes.push(Class { name, color }.into());
        }
        document
    }

    fn after(known: &[&str], folders: &[&str]) -> (Vec<(String, usize)>, usize) {
        let mut document = document(known);
        let folders = folders.iter().map(|f| (*f).to_owned()).collect();
        let (places, warnings) = reconcile(&mut document, folders, |_| false);
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
        let (places, warnings) = reconcile(&mut document, folders, |name| name == "Ärger");
        assert_eq!(
            places,
            [ClassFolder {
                name: ClassName::new("Ärger").unwrap(),
                folder: "A\u{308}rger".to_owned()
            }]
        );
        assert!(warnings.is_empty());
    }
}
