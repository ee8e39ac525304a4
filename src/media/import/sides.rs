//! The sides of a split that files are given with: which sources take their side, and remarks where they do not.
//!
//! A side belongs to a source. A film gets the side of its folder. The images of a batch that was imported without a
//! side get one if all of them are now given with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use crate::media::MediaError;
use crate::project::{Source, SourceId, Split};

use super::Importing;
use super::outcome::{Fate, FileReport, Known};
use super::plan::{PlanGroup, PlannedFile};

/// The sides known to an import.
#[derive(Debug, Default)]
pub(super) struct Sides {
    /// The side that each source was given with.
    of_source: HashMap<SourceId, Split>,
    /// Images given with a side whose source has none, by source.
    asked: BTreeMap<SourceId, Vec<Asked>>,
    /// The number of files that are on another side than given, or on none.
    elsewhere: usize,
}

/// An image that is given with a side and whose source has none.
#[derive(Debug)]
struct Asked {
    side: Split,
    /// Its path in the project.
    place: String,
    /// The given file.
    file: PathBuf,
}

impl Sides {
    /// The sides of the project's sources.
    pub(super) fn of(sources: impl Iterator<Item = Source>) -> Self {
        Self {
            of_source: sources
                .filter_map(|source| Some((source.id, source.given_split?)))
                .collect(),
            ..Self::default()
        }
    }

    /// Records the side of a source that this import creates or changes.
    pub(super) fn put(&mut self, source: &SourceId, side: Option<Split>) {
        if let Some(side) = side {
            self.of_source.insert(source.clone(), side);
        }
    }

    /// A remark on a file that is given with `side` and belongs to a source with another, or with none.
    pub(super) fn differs(&mut self, side: Option<Split>, source: &SourceId) -> Option<String> {
        let side = side?;
        let given = self.of_source.get(source).copied();
        (given != Some(side)).then(|| {
            self.elsewhere += 1;
            other_side(side, given)
        })
    }
}

impl Importing<'_> {
    /// Assigns its side to a film that was imported without one; a remark if it has another.
    pub(super) fn film_side(&mut self, side: Option<Split>, source: &mut Source) -> Option<String> {
        source.given_split = source.given_split.or(side);
        self.sides.put(&source.id, source.given_split);
        self.sides.differs(side, &source.id)
    }

    /// A remark on an image that exists on another side. If its source has none, [`Self::give_sides`] decides.
    pub(super) fn image_side(
        &mut self,
        side: Option<Split>,
        file: &PlannedFile,
        known: &Known,
    ) -> Option<String> {
        let side = side.filter(|_| !known.trashed)?;
        let Some(source) = &known.source else {
            self.sides.elsewhere += 1;
            return Some(other_side(side, None));
        };
        if self.sides.of_source.contains_key(source) {
            return self.sides.differs(Some(side), source);
        }
        let asked = self.sides.asked.entry(source.clone()).or_default();
        asked.push(Asked {
            side,
            place: known.place.clone(),
            file: file.path.clone(),
        });
        None
    }

    /// Assigns a side to sources without one if all of their images are given with it. Otherwise the images' reports
    /// state that they have none.
    pub(super) fn give_sides(&mut self) -> Result<(), MediaError> {
        let asked = std::mem::take(&mut self.sides.asked);
        if asked.is_empty() {
            return Ok(());
        }
        let mut images: HashMap<SourceId, Vec<String>> = HashMap::new();
        for frame in self.project.scan(self.work)?.list {
            if let Some(source) = frame.source.filter(|source| asked.contains_key(source)) {
                images.entry(source).or_default().push(frame.path);
            }
        }
        let mut notes = HashMap::new();
        for (id, asked) in asked {
            let side = asked.first().map(|image| image.side);
            let places: HashSet<&str> = asked.iter().map(|image| image.place.as_str()).collect();
            let all = images.get(&id).into_iter().flatten();
            if asked.iter().all(|image| Some(image.side) == side)
                && all.into_iter().all(|path| places.contains(path.as_str()))
                && let Some(before) = self.project.source(&id)
            {
                self.remember(&before);
                self.project
                    .change_source(&id, |source| source.given_split = side)?;
                self.sides.put(&id, side);
                continue;
            }
            self.sides.elsewhere += asked.len();
            notes.extend(
                asked
                    .into_iter()
                    .map(|image| (image.file, other_side(image.side, None))),
            );
        }
        self.add_notes(notes);
        Ok(())
    }

    /// A remark on whether the given split is kept, or to what extent.
    pub(super) fn say_sides(&mut self, groups: &[PlanGroup]) {
        let given: HashSet<&PathBuf> = groups
            .iter()
            .filter(|group| group.side.is_some())
            .flat_map(|group| group.files.iter().map(|file| &file.path))
            .collect();
        let is_there = |report: &FileReport| {
            matches!(report.fate, Fate::Imported { .. } | Fate::Known(_))
                && given.contains(&report.path)
        };
        if !self.outcome.files.iter().any(is_there) {
            return;
        }
        self.outcome.notes.push(match self.sides.elsewhere {
            0 => "The split into train, validation and test folders is kept.".to_owned(),
            1 => "The split of the folders is kept except for one file, whose report says why; to keep it completely, import into a new project.".to_owned(),
            count => format!(
                "The split of the folders is kept except for {count} files, whose reports say why; to keep it completely, import into a new project."
            ),
        });
    }
}

/// Removes the sides of a given split from the groups; returns whether there were any.
pub(super) fn forget_sides(groups: &mut [PlanGroup]) -> bool {
    let mut given = false;
    for group in groups {
        given |= group.side.take().is_some();
    }
    given
}

/// The remark on a file that is on another side, or on none.
fn other_side(asked: Split, given: Option<Split>) -> String {
    match given {
        Some(given) => format!(
            "its folder was for {} before and is for {} now; it stays on its side",
            side_text(given),
            side_text(asked)
        ),
        None => format!(
            "its folder is for {} now, but it was imported without a side before, together with others; it stays that way",
            side_text(asked)
        ),
    }
}

fn side_text(side: Split) -> &'static str {
    match side {
        Split::Train => "training",
        Split::Validation => "validation",
        Split::Test => "the test",
    }
}
