//! The runs as a table: names, results, and the settings in which they differ.

use super::RunEntry;
use crate::app::words;
use crate::train::schema::{Kind, SETTINGS, Setting, SettingGroup, Value};
use crate::train::{RunId, RunState, TrainSettings};

/// The sort key of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum SortKey {
    /// A number; cells without one are last.
    Number(Option<f64>),
    /// Text, ignoring case.
    Text(String),
}

/// A cell of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCell {
    /// The displayed text.
    pub text: String,
    key: SortKey,
}

impl RunCell {
    pub(in crate::app) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        let key = SortKey::Text(text.to_lowercase());
        Self { text, key }
    }

    pub(in crate::app) fn number(text: String, value: Option<f64>) -> Self {
        let key = SortKey::Number(value);
        Self { text, key }
    }

    pub(in crate::app) fn percent(part: Option<f32>) -> Self {
        let part = part.map(f64::from);
        let text = words::percent_or_dash(part);
        Self::number(text, part)
    }

    fn precedes(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (&self.key, &other.key) {
            (SortKey::Number(Some(a)), SortKey::Number(Some(b))) => a.total_cmp(b),
            (SortKey::Number(Some(_)), SortKey::Number(None)) => Less,
            (SortKey::Number(None), SortKey::Number(Some(_))) => Greater,
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
            _ => Equal,
        }
    }
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunColumn {
    /// Its heading.
    pub title: &'static str,
    /// An explanation.
    pub tip: &'static str,
    /// Whether it has numbers, which are right-aligned.
    pub numbers: bool,
}

/// A row: its item, with a cell for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow<Id> {
    /// The item that the row describes.
    pub id: Id,
    /// Its cells.
    pub cells: Vec<RunCell>,
}

/// A table that can be sorted by any column.
#[derive(Debug, Clone, PartialEq)]
pub struct CellTable<Id> {
    /// The columns.
    pub columns: Vec<RunColumn>,
    /// The rows.
    pub rows: Vec<RunRow<Id>>,
}

/// The runs as a table: the name first, the note last.
pub type RunTable = CellTable<RunId>;

/// A setting of a run.
pub(in crate::app) fn cell(setting: &Setting, settings: &TrainSettings) -> RunCell {
    // A setting that does not apply to a run is not a difference.
    if setting.group == SettingGroup::FineTuning && !settings.fine_tune.is_on() {
        return RunCell::number("–".to_owned(), None);
    }
    match setting.get(settings) {
        Value::Whole(value) => RunCell::number(words::number(value), Some(value as f64)),
        Value::Real(value) => RunCell::number(format!("{value}"), Some(f64::from(value))),
        Value::Nothing | Value::Word(_) if matches!(setting.kind, Kind::WholeOr { .. }) => {
            RunCell::number("–".to_owned(), None)
        }
        _ if setting.key == "architecture" => {
            RunCell::text(words::architecture(&settings.architecture))
        }
        _ => RunCell::text(setting.title_of_value(settings)),
    }
}

impl RunTable {
    /// The table of these runs, in this order.
    #[must_use]
    pub fn of(entries: &[RunEntry]) -> Self {
        let settings: Vec<&Setting> = SETTINGS
            .iter()
            .filter(|setting| {
                let cells = entries.iter().map(|e| cell(setting, &e.run.settings));
                let mut cells = cells.filter(|cell| cell.key != SortKey::Number(None));
                let first = cells.next();
                cells.any(|cell| Some(cell) != first)
            })
            .collect();
        let column = |title, tip, numbers| RunColumn {
            title,
            tip,
            numbers,
        };
        let mut columns = vec![
            column(
                "Run",
                "The run’s name, or its architecture and time if it has none",
                false,
            ),
            column("Begun", "When the training began", false),
        ];
        for setting in &settings {
            let numbers = entries
                .iter()
                .all(|entry| matches!(cell(setting, &entry.run.settings).key, SortKey::Number(_)));
            columns.push(column(setting.title, setting.brief, numbers));
        }
        columns.extend([
            column(
                "Steps",
                "Steps of its last part; the best weights were kept",
                true,
            ),
            column(
                "Validation",
                "Fraction of validation images classified correctly",
                true,
            ),
            column("Test", "Fraction of test images classified correctly", true),
            column("Took", "Duration of the training", true),
            column("Note", "Your note about the run", false),
        ]);
        let row = |entry: &RunEntry| {
            let run = &entry.run;
            let result = run.result();
            let mut cells = vec![
                RunCell::text(entry.title()),
                RunCell {
                    text: words::begun(run),
                    key: SortKey::Text(run.created.clone()),
                },
            ];
            cells.extend(settings.iter().map(|setting| cell(setting, &run.settings)));
            let steps = entry.steps();
            cells.push(RunCell::number(
                if run.state == RunState::Finished {
                    words::number(u64::from(steps))
                } else {
                    format!("{}, unfinished", words::number(u64::from(steps)))
                },
                Some(f64::from(steps)),
            ));
            cells.push(RunCell::percent(result.and_then(|r| r.validation_accuracy)));
            cells.push(RunCell::percent(result.and_then(|r| r.test_accuracy)));
            cells.push(match result {
                Some(_) => {
                    let secs = run.secs();
                    RunCell::number(words::duration(secs.max(1.0)), Some(secs))
                }
                None => RunCell::number("–".to_owned(), None),
            });
            cells.push(RunCell::text(entry.note.note.replace('\n', " ")));
            RunRow {
                id: run.id.clone(),
                cells,
            }
        };
        Self {
            columns,
            rows: entries.iter().map(row).collect(),
        }
    }
}

impl<Id> CellTable<Id> {
    /// Sorts the rows by a column; rows without a value are always last.
    pub fn sort(&mut self, column: usize, descending: bool) {
        self.rows.sort_by(|a, b| {
            let (Some(a), Some(b)) = (a.cells.get(column), b.cells.get(column)) else {
                return std::cmp::Ordering::Equal;
            };
            let missing = |cell: &RunCell| cell.key == SortKey::Number(None);
            let order = a.precedes(b);
            if descending && !missing(a) && !missing(b) {
                order.reverse()
            } else {
                order
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::path::PathBuf;

    use super::*;
    use crate::backbone::{Depth, Fit};
    use crate::train::{Run, RunNote};

    fn entry(number: u32, change: impl FnOnce(&mut serde_json::Value)) -> RunEntry {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join(format!("run_{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        let mut file = serde_json::json!({
            "format": 1,
            "created": format!("2026-11-24T14:0{number}:00.000Z"),
            "salamander": "0", "onnx_runtime": "0", "machine": "",
            "settings": TrainSettings::default(),
            "preprocessing": TrainSettings::default()
                .architecture
                .preprocessing(Fit::CenterCrop)
                .unwrap(),
            "classes": ["a", "b"],
            "state": "finished",
            "notes": [],
            "preparation_secs": 0.0,
            "result": {
                "steps": 4000, "best_step": 100, "validation_accuracy": 0.9,
                "test_accuracy": 0.9, "seconds": 4.0, "notes": [],
            },
        });
        change(&mut file);
        std::fs::write(dir.join("run.json"), file.to_string()).unwrap();
        RunEntry {
            run: Run::open(&dir).unwrap(),
            curves: std::sync::Arc::default(),
            head: std::sync::Arc::default(),
            metrics: std::sync::Arc::default(),
            head_metrics: std::sync::Arc::default(),
            note: RunNote::default(),
        }
    }

    fn titles(table: &RunTable) -> Vec<&str> {
        table.columns.iter().map(|column| column.title).collect()
    }

    fn order(table: &RunTable) -> Vec<PathBuf> {
        table
            .rows
            .iter()
            .map(|row| PathBuf::from(&row.id.0))
            .collect()
    }

    #[test]
    fn only_settings_that_differ_have_a_column() {
        let same = [entry(1, |_| {}), entry(2, |_| {})];
        let plain = [
            "Run",
            "Begun",
            "Steps",
            "Validation",
            "Test",
            "Took",
            "Note",
        ];
        assert_eq!(titles(&RunTable::of(&same)), plain);
        let mut differ = [
            entry(1, |_| {}),
            entry(2, |file| file["settings"]["learning_rate"] = 0.5.into()),
        ];
        differ[1].run.settings.fine_tune.depth = Depth::Last3;
        let table = RunTable::of(&differ);
        let expected = [
            "Run",
            "Begun",
            "Depth",
            "Learning rate",
            "Steps",
            "Validation",
            "Test",
            "Took",
            "Note",
        ];
        assert_eq!(titles(&table), expected);
        let cells: Vec<&str> = table.rows[1].cells[2..4]
            .iter()
            .map(|c| c.text.as_str())
            .collect();
        assert_eq!(cells, ["Last three blocks", "0.5"]);
        assert!(RunTable::of(&[]).rows.is_empty());
    }

    #[test]
    fn rows_are_sorted_by_value_and_those_without_one_stay_last() {
        let test = |part: Option<f32>| {
            move |file: &mut serde_json::Value| file["result"]["test_accuracy"] = part.into()
        };
        let mut entries = [
            entry(1, test(Some(0.09))),
            entry(2, test(None)),
            entry(3, test(Some(0.8))),
        ];
        entries[0].note.name = "Best".to_owned();
        let mut table = RunTable::of(&entries);
        let column = titles(&table)
            .iter()
            .position(|title| *title == "Test")
            .unwrap();
        table.sort(column, false);
        assert_eq!(
            order(&table),
            ["run_1", "run_3", "run_2"].map(PathBuf::from)
        );
        table.sort(column, true);
        assert_eq!(
            order(&table),
            ["run_3", "run_1", "run_2"].map(PathBuf::from)
        );
        table.sort(0, false);
        assert_eq!(table.rows[0].cells[0].text, "Best");
        table.sort(1, true);
        assert_eq!(
            order(&table),
            ["run_3", "run_2", "run_1"].map(PathBuf::from)
        );
    }
}
