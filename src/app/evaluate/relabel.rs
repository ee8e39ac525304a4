//! Correcting labels among the mistakes: frames of an evaluation are selected, relabelled, moved to the trash.

use std::collections::{HashMap, HashSet};

use crate::app::edit_effect::Renames;
use crate::app::label::label_prefix;
use crate::app::{App, EvaluateAction, EvaluateState, LabelAction, Pick, Session};
use crate::evaluate::Evaluation;
use crate::project::{Change, ClassName, Label};

/// The current paths of an evaluation's frames that were moved since, by their indices in its predictions.
#[derive(Debug, Default)]
pub struct CurrentPaths {
    now: HashMap<usize, String>,
}

/// The change of a frame since it was evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameNow {
    /// It has this label now.
    Relabelled(Label),
    /// It is in the trash.
    Trashed,
}

impl CurrentPaths {
    /// Frames were moved from the first to the second path.
    fn follow(&mut self, evaluation: &Evaluation, renames: &Renames) {
        for (index, prediction) in evaluation.predictions.iter().enumerate() {
            let at = self.now.get(&index).unwrap_or(&prediction.path);
            // Its actual path may differ from the predicted one.
            let to = renames.get(at).or_else(|| renames.get(&prediction.path));
            let Some(to) = to.filter(|to| *to != at) else {
                continue;
            };
            if *to == prediction.path {
                self.now.remove(&index);
            } else {
                self.now.insert(index, to.clone());
            }
        }
    }
}

impl EvaluateState {
    /// The current path of a frame of the evaluation, by its index in the predictions.
    #[must_use]
    pub fn path(&self, index: usize) -> Option<&str> {
        let evaluated = || Some(&self.evaluation.as_ref()?.predictions.get(index)?.path);
        let path = self.current_paths.now.get(&index).or_else(evaluated)?;
        Some(path)
    }

    /// The change of a frame since it was evaluated; `None` if there is none.
    #[must_use]
    pub fn fate(&self, index: usize) -> Option<FrameNow> {
        let path = self.current_paths.now.get(&index)?;
        if path.starts_with("trash/") {
            return Some(FrameNow::Trashed);
        }
        let class = path
            .strip_prefix("classes/")
            .and_then(|rest| rest.split('/').next())
            .and_then(|name| ClassName::new(name).ok());
        Some(FrameNow::Relabelled(
            class.map_or(Label::Unsorted, Label::Class),
        ))
    }

    /// The number of frames of the evaluation that were relabelled or moved to the trash since.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.current_paths.now.len()
    }

    /// The frames that a key acts on, as indices in the predictions: the one that is shown large, otherwise the
    /// selected ones in the order of the list. Empty while predictions on files are shown instead.
    #[must_use]
    pub fn chosen(&self) -> Vec<usize> {
        if self.shows_files {
            return Vec::new();
        }
        if let Some(index) = self.preview.and_then(|place| self.shown.get(place)) {
            return vec![*index];
        }
        if self.selection.is_empty() {
            return Vec::new();
        }
        let shown = self.shown.iter().copied();
        shown
            .filter(|index| self.selection.contains(index))
            .collect()
    }

    /// Computes which frames are shown: the mistakes, or those of the chosen cell, the most confident first.
    pub(in crate::app) fn rebuild_shown(&mut self) {
        self.selection.clear();
        self.anchor = None;
        self.shown = match &self.evaluation {
            None => Vec::new(),
            Some(evaluation) => shown(evaluation, self.cell),
        };
    }

    fn pick(&mut self, place: usize, pick: Pick) {
        let Some(index) = self.shown.get(place).copied() else {
            return;
        };
        let anchor = self.anchor.filter(|_| pick == Pick::Range);
        match (pick, anchor) {
            (Pick::Toggle, _) => {
                if !self.selection.remove(&index) {
                    self.selection.insert(index);
                }
                self.anchor = Some(place);
            }
            (Pick::Range, Some(anchor)) => {
                let range = self.shown.get(anchor.min(place)..=anchor.max(place));
                self.selection = range.unwrap_or_default().iter().copied().collect();
            }
            (Pick::Only | Pick::Range, _) => {
                self.selection = HashSet::from([index]);
                self.anchor = Some(place);
            }
        }
    }
}

/// Indices in the predictions: of the mistakes, or of a cell (truth, predicted), the most confident first.
fn shown(evaluation: &Evaluation, cell: Option<(usize, usize)>) -> Vec<usize> {
    let predictions = &evaluation.predictions;
    let mut shown: Vec<usize> = (0..predictions.len())
        .filter(|index| {
            predictions.get(*index).is_some_and(|p| match cell {
                None => p.truth != p.predicted,
                Some(cell) => (p.truth, p.predicted) == cell,
            })
        })
        .collect();
    let key = |index: usize| {
        let prediction = predictions.get(index);
        prediction.map(|p| (p.confidence(), p.path.as_str()))
    };
    shown.sort_by(|a, b| match (key(*a), key(*b)) {
        (Some((a, path_a)), Some((b, path_b))) => b.total_cmp(&a).then_with(|| path_a.cmp(path_b)),
        _ => std::cmp::Ordering::Equal,
    });
    shown
}

impl Session {
    /// Updates the paths of the evaluation's frames.
    pub(in crate::app) fn follow_renames(&mut self, renames: &Renames) {
        if let Some(evaluation) = &self.evaluate.evaluation
            && !renames.is_empty()
        {
            self.evaluate.current_paths.follow(evaluation, renames);
        }
    }

    /// The current paths of the chosen frames of the evaluation.
    fn chosen_paths(&self) -> Vec<String> {
        let chosen = self.evaluate.chosen();
        chosen
            .into_iter()
            .filter_map(|index| self.evaluate.path(index))
            .map(str::to_owned)
            .collect()
    }
}

impl App {
    /// Applies an action on frames of the evaluation; `false` for an action of another kind.
    pub(in crate::app) fn apply_mend(&mut self, action: &EvaluateAction) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        match action {
            EvaluateAction::Pick(place, pick) => session.evaluate.pick(*place, *pick),
            EvaluateAction::Enlarge => {
                let state = &mut session.evaluate;
                let first = state.chosen().first().copied();
                let place = first.and_then(|first| state.shown.iter().position(|i| *i == first));
                state.preview = if state.preview.is_some() { None } else { place };
            }
            EvaluateAction::Assign(label) => {
                let prefix = label_prefix(label);
                let mut frames = session.chosen_paths();
                frames.retain(|path| path.rsplit_once('/').is_none_or(|(dir, _)| dir != prefix));
                if !frames.is_empty() {
                    let to = label.clone();
                    self.edit(Change::Relabel { frames, to });
                }
            }
            EvaluateAction::Trash => {
                let mut frames = session.chosen_paths();
                frames.retain(|path| !path.starts_with("trash/"));
                if !frames.is_empty() {
                    self.edit(Change::Trash { frames });
                }
            }
            EvaluateAction::ShowInLabel => {
                let paths = session.chosen_paths();
                self.apply_label(LabelAction::Reveal(paths));
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]
    use std::sync::Arc;

    use super::*;
    use crate::evaluate::{Confusion, FramePrediction};
    use crate::project::Split;

    fn state() -> EvaluateState {
        let prediction = |path: &str, truth, predicted, sure| FramePrediction {
            path: path.to_owned(),
            group: String::new(),
            truth,
            predicted,
            probabilities: if predicted == 0 {
                vec![sure, 1.0 - sure]
            } else {
                vec![1.0 - sure, sure]
            },
        };
        let mut state = EvaluateState {
            evaluation: Some(Arc::new(Evaluation {
                classes: vec!["a".to_owned(), "b".to_owned()],
                split: Split::Test,
                predictions: vec![
                    prediction("classes/a/1.jpg", 0, 0, 0.9),
                    prediction("classes/a/2.jpg", 0, 1, 0.7),
                    prediction("classes/b/3.jpg", 1, 0, 0.8),
                ],
                confusion: Confusion::default(),
                relabelled: 0,
                changed: 0,
                notes: Vec::new(),
                missing: 0,
            })),
            ..EvaluateState::default()
        };
        state.rebuild_shown();
        state
    }

    fn follow(state: &mut EvaluateState, pairs: &[(&str, &str)]) {
        let renames = pairs
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect();
        let evaluation = Arc::clone(state.evaluation.as_ref().unwrap());
        state.current_paths.follow(&evaluation, &renames);
    }

    #[test]
    fn a_frame_is_followed_through_labels_trash_and_back() {
        let mut state = state();
        assert_eq!(state.shown, [2, 1]);
        follow(&mut state, &[("classes/b/3.jpg", "classes/a/3.jpg")]);
        let class = Label::Class(ClassName::new("a").unwrap());
        assert_eq!(state.fate(2), Some(FrameNow::Relabelled(class)));
        assert_eq!(
            (state.path(2), state.changed()),
            (Some("classes/a/3.jpg"), 1)
        );
        // Predicted as 3.jpg, but that name was taken.
        follow(&mut state, &[("classes/b/3.jpg", "classes/a/3~2.jpg")]);
        assert_eq!(state.path(2), Some("classes/a/3~2.jpg"));
        follow(
            &mut state,
            &[("classes/a/3~2.jpg", "trash/classes/a/3~2.jpg")],
        );
        assert_eq!(state.fate(2), Some(FrameNow::Trashed));
        follow(
            &mut state,
            &[("trash/classes/a/3~2.jpg", "classes/b/3.jpg")],
        );
        assert_eq!((state.fate(2), state.changed()), (None, 0));
    }

    #[test]
    fn keys_act_on_the_large_frame_or_on_the_selected_ones() {
        let mut state = state();
        assert!(state.chosen().is_empty());
        state.pick(0, Pick::Only);
        state.pick(1, Pick::Range);
        assert_eq!(state.chosen(), [2, 1]);
        state.pick(0, Pick::Toggle);
        assert_eq!(state.chosen(), [1]);
        state.preview = Some(0);
        assert_eq!(state.chosen(), [2]);
        state.preview = None;
        state.cell = Some((0, 0));
        state.rebuild_shown();
        assert_eq!(
            (state.shown.as_slice(), state.chosen().len()),
            (&[0][..], 0)
        );
    }
}
