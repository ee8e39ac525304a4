//! The classes of a run in the current project, in which they may have been renamed, merged or deleted.

use std::path::Path;

use crate::project::{ClassId, ClassList, ClassName, ClassNow, Project};

use super::Run;

/// The current labels of the outputs of a run's model.
#[derive(Debug, Clone, PartialEq)]
pub struct RunClasses {
    /// The distinct labels: the current name of each class of the run, once for merged classes, and the former name
    /// for a deleted class.
    pub labels: Vec<String>,
    /// For each class of the run, in the order of its logits, the index of its label.
    pub label_of: Vec<usize>,
    /// A sentence for each class that was merged or deleted since the run, with the consequence for the figures.
    pub notes: Vec<String>,
    now: Vec<ClassNow>,
}

impl RunClasses {
    /// The classes of a run in its project.
    #[must_use]
    pub fn of(project: &Project, run: &Run) -> Self {
        Self::in_list(&project.class_list(), run)
    }

    /// The classes of a run whose project is not open, by the `project.json` two folders above the run's; if there is
    /// none, as they were trained.
    #[must_use]
    pub fn beside(run: &Run) -> Self {
        let root = run.dir.parent().and_then(Path::parent);
        match root.and_then(ClassList::read) {
            Some(list) => Self::in_list(&list, run),
            None => Self::as_trained(&run.classes),
        }
    }

    /// Unchanged classes with these names.
    #[must_use]
    pub fn as_trained(names: &[String]) -> Self {
        Self::new(names, present(names))
    }

    /// The classes of a run, looked up in those of a project.
    #[must_use]
    pub fn in_list(list: &ClassList, run: &Run) -> Self {
        let ids = &run.class_ids;
        let known = |id: &ClassId| ids.contains(id);
        let now = ids.iter().zip(&run.classes).map(|(id, name)| {
            // For a run from elsewhere, or a project that was created again around its runs, the name is decisive.
            let named = || {
                let found = list.present().iter().find(|c| c.name.as_str() == *name);
                found.filter(|class| !known(&class.id))
            };
            list.now(*id)
                .or_else(|| Some(ClassNow::Present(named()?.name.clone())))
                .unwrap_or(ClassNow::Deleted)
        });
        Self::new(&run.classes, now.collect())
    }

    fn new(names: &[String], now: Vec<ClassNow>) -> Self {
        let mut labels: Vec<String> = Vec::new();
        let mut label_of = vec![0; names.len()];
        for (now, label) in now.iter().zip(&mut label_of) {
            let Some(name) = now.name() else { continue };
            let known = labels.iter().position(|known| known == name.as_str());
            *label = known.unwrap_or(labels.len());
            if known.is_none() {
                labels.push(name.to_string());
            }
        }
        // In the order of the run's classes, if nothing was merged.
        let mut ordered: Vec<String> = Vec::new();
        let mut places: Vec<Option<usize>> = vec![None; labels.len()];
        for ((name, now), label) in names.iter().zip(&now).zip(&mut label_of) {
            let taken = |text: &str| labels.iter().any(|known| known == text);
            match now {
                ClassNow::Deleted => {
                    let mut text = name.clone();
                    while taken(&text) || ordered.contains(&text) {
                        text.push_str(" (deleted)");
                    }
                    *label = ordered.len();
                    ordered.push(text);
                }
                ClassNow::Present(_) | ClassNow::MergedInto(_) => {
                    let Some(place) = places.get_mut(*label) else {
                        continue;
                    };
                    *label = *place.get_or_insert_with(|| {
                        ordered.push(labels.get(*label).cloned().unwrap_or_default());
                        ordered.len() - 1
                    });
                }
            }
        }
        let notes = notes(names, &now, &ordered, &label_of);
        Self {
            labels: ordered,
            label_of,
            notes,
            now,
        }
    }

    /// The current state of the run's class `index`.
    #[must_use]
    pub fn now(&self, index: usize) -> &ClassNow {
        self.now.get(index).unwrap_or(&ClassNow::Deleted)
    }

    /// Whether classes of the run were merged.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        self.labels.len() < self.label_of.len()
    }

    /// The label of a current class of the project; `None` if the run does not have it.
    #[must_use]
    pub fn label(&self, name: &ClassName) -> Option<usize> {
        let class = self.now.iter().position(|now| now.name() == Some(name))?;
        self.label_of.get(class).copied()
    }

    /// The class of the run for a current class of the project, preferably the one itself instead of one merged into
    /// it.
    #[must_use]
    pub fn class(&self, name: &ClassName) -> Option<usize> {
        let own = |now: &ClassNow| matches!(now, ClassNow::Present(present) if present == name);
        let at = self.now.iter().position(own);
        at.or_else(|| self.now.iter().position(|now| now.name() == Some(name)))
    }

    /// The probabilities of the labels from those of the run's classes: those of merged classes are added.
    #[must_use]
    pub fn fold(&self, probabilities: Vec<f32>) -> Vec<f32> {
        if !self.is_folded() {
            return probabilities;
        }
        let mut folded = vec![0.0; self.labels.len()];
        for (label, probability) in self.label_of.iter().zip(probabilities) {
            if let Some(sum) = folded.get_mut(*label) {
                *sum += probability;
            }
        }
        folded
    }
}

fn present(names: &[String]) -> Vec<ClassNow> {
    let now = names.iter().map(|name| match ClassName::new(name) {
        Ok(name) => ClassNow::Present(name),
        Err(_) => ClassNow::Deleted,
    });
    now.collect()
}

/// Remarks on merged and deleted classes.
fn notes(names: &[String], now: &[ClassNow], labels: &[String], label_of: &[usize]) -> Vec<String> {
    let mut notes = Vec::new();
    for (at, label) in labels.iter().enumerate() {
        let members: Vec<(&String, &ClassNow)> = names
            .iter()
            .zip(now)
            .zip(label_of)
            .filter(|(_, of)| **of == at)
            .map(|(member, _)| member)
            .collect();
        let merged: Vec<String> = members
            .iter()
            .filter(|(_, now)| matches!(now, ClassNow::MergedInto(_)))
            .map(|(name, _)| format!("“{name}”"))
            .collect();
        if let [(name, ClassNow::Deleted)] = members.as_slice() {
            notes.push(format!(
                "“{name}” was deleted after this run: its images are left out of the figures, but the model can still predict “{label}”."
            ));
        } else if let [name] = merged.as_slice()
            && members.len() == 1
        {
            notes.push(format!(
                "{name} was merged into “{label}” after this run: its images and predictions count as “{label}”."
            ));
        } else if !merged.is_empty() {
            let were = if merged.len() == 1 { "was" } else { "were" };
            notes.push(format!(
                "{} {were} merged into “{label}” after this run, which has them as separate classes: a prediction of any of them counts as “{label}”, and their probabilities are added.",
                merged.join(" and ")
            ));
        }
    }
    if labels.len() == 1 && names.len() > 1 {
        notes.push(
            "All classes of this run have been merged into one, so its accuracy is meaningless; train again."
                .into(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn name(name: &str) -> ClassName {
        ClassName::new(name).unwrap()
    }

    fn classes(names: &[&str], now: Vec<ClassNow>) -> RunClasses {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        RunClasses::new(&names, now)
    }

    fn there(text: &str) -> ClassNow {
        ClassNow::Present(name(text))
    }

    fn merged(text: &str) -> ClassNow {
        ClassNow::MergedInto(name(text))
    }

    #[test]
    fn renamed_and_swapped_classes_keep_their_places() {
        let found = classes(&["a", "b", "c"], vec![there("b"), there("a"), there("C")]);
        assert_eq!(found.labels, ["b", "a", "C"]);
        assert_eq!(found.label_of, [0, 1, 2]);
        assert!(found.notes.is_empty() && !found.is_folded());
        assert_eq!(found.fold(vec![0.25, 0.5, 0.25]), [0.25, 0.5, 0.25]);
        assert_eq!(found.class(&name("a")), Some(1));
        assert_eq!(found.label(&name("x")), None);
    }

    #[test]
    fn merged_classes_are_one_label_and_their_probabilities_a_sum() {
        let found = classes(
            &["cat", "dog", "pets"],
            vec![merged("pets"), there("dog"), there("pets")],
        );
        assert_eq!(found.labels, ["pets", "dog"]);
        assert_eq!(found.label_of, [0, 1, 0]);
        assert_eq!(found.fold(vec![0.25, 0.5, 0.25]), [0.5, 0.5]);
        assert_eq!(found.class(&name("pets")), Some(2));
        assert_eq!(found.notes.len(), 1);
        assert!(found.notes[0].contains("“cat” was merged into “pets”"));
        assert!(found.notes[0].contains("are added"));
        // Merged into a class that the run does not have.
        let found = classes(&["cat", "dog"], vec![merged("pets"), there("dog")]);
        assert_eq!(found.labels, ["pets", "dog"]);
        assert!(found.notes[0].contains("count as “pets”"));
        let found = classes(&["cat", "dog"], vec![merged("pets"), merged("pets")]);
        assert_eq!(found.labels, ["pets"]);
        assert!(found.notes[0].contains("“cat” and “dog” were merged"));
        assert!(found.notes[1].contains("is meaningless"));
    }

    #[test]
    fn a_deleted_class_keeps_its_name_unless_another_has_it_now() {
        let found = classes(&["cat", "dog"], vec![ClassNow::Deleted, there("dog")]);
        assert_eq!(found.labels, ["cat", "dog"]);
        assert!(found.notes[0].contains("“cat” was deleted"));
        let found = classes(&["cat", "dog"], vec![ClassNow::Deleted, there("cat")]);
        assert_eq!(found.labels, ["cat (deleted)", "cat"]);
        assert_eq!(found.label(&name("cat")), Some(1));
    }
}
