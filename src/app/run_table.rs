//! The runs as a table: what each was called and measured, and the settings in which they differ.

use super::train::RunEntry;
use super::words;
use crate::backbone::Fit;
use crate::train::{FineTuneOptimizer, Optimizer, RunId, RunState, TrainSettings};

/// What a cell is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub enum SortKey {
    /// A number; what has none comes last.
    Number(Option<f64>),
    /// Text, without regard to case.
    Text(String),
}

/// A cell of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCell {
    /// What is shown.
    pub text: String,
    key: SortKey,
}

impl RunCell {
    fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        let key = SortKey::Text(text.to_lowercase());
        Self { text, key }
    }

    fn number(text: String, value: Option<f64>) -> Self {
        let key = SortKey::Number(value);
        Self { text, key }
    }

    fn percent(part: Option<f32>) -> Self {
        let part = part.map(f64::from);
        let text = part.map_or_else(|| "–".to_owned(), words::percent);
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
    /// What it means.
    pub tip: &'static str,
    /// Whether it holds numbers, which stand at the right.
    pub numbers: bool,
}

/// A row: a run with a cell for each column.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// Its cells.
    pub cells: Vec<RunCell>,
}

/// The runs as a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunTable {
    /// The columns: the name first, the note last.
    pub columns: Vec<RunColumn>,
    /// A row for each run.
    pub rows: Vec<RunRow>,
}

/// A setting by which runs can differ.
struct Setting {
    title: &'static str,
    tip: &'static str,
    cell: fn(&TrainSettings) -> RunCell,
}

fn count(value: u64) -> RunCell {
    RunCell::number(words::number(value), Some(value as f64))
}

fn decimal(value: f32) -> RunCell {
    RunCell::number(format!("{value}"), Some(f64::from(value)))
}

fn yes(value: bool) -> RunCell {
    RunCell::text(if value { "yes" } else { "no" })
}

const SETTINGS: &[Setting] = &[
    Setting {
        title: "Architecture",
        tip: "The network, and the size of the images that it sees",
        cell: |s| RunCell::text(words::architecture(&s.architecture)),
    },
    Setting {
        title: "Depth",
        tip: "How much of the network was trained",
        cell: |s| RunCell::text(s.fine_tune.depth.title()),
    },
    Setting {
        title: "Head steps",
        tip: "Steps of the head’s training that were asked for",
        cell: |s| count(u64::from(s.how_many_training_steps)),
    },
    Setting {
        title: "Fine-tuning steps",
        tip: "Steps of the fine-tuning that were asked for",
        cell: |s| match s.fine_tune.steps.filter(|_| s.fine_tune.is_on()) {
            Some(steps) => count(u64::from(steps)),
            None => RunCell::number("–".to_owned(), None),
        },
    },
    Setting {
        title: "Learning rate",
        tip: "How far each step of the head’s training follows the gradient",
        cell: |s| decimal(s.learning_rate),
    },
    Setting {
        title: "Fine-tuning rate",
        tip: "The highest learning rate of the fine-tuning",
        cell: |s| decimal(s.fine_tune.learning_rate),
    },
    Setting {
        title: "Optimiser",
        tip: "How the head’s weights follow the gradient",
        cell: |s| {
            RunCell::text(match s.optimizer {
                Optimizer::Sgd => "SGD",
                Optimizer::Adam => "Adam",
            })
        },
    },
    Setting {
        title: "Fine-tuning optimiser",
        tip: "How the weights follow the gradient in the fine-tuning",
        cell: |s| {
            RunCell::text(match s.fine_tune.optimizer {
                FineTuneOptimizer::Momentum => "Momentum",
                FineTuneOptimizer::AdamW => "AdamW",
            })
        },
    },
    Setting {
        title: "Batch",
        tip: "Images per step of the head’s training",
        cell: |s| count(s.train_batch_size as u64),
    },
    Setting {
        title: "Fine-tuning batch",
        tip: "Images per step of the fine-tuning",
        cell: |s| count(s.fine_tune.batch_size as u64),
    },
    Setting {
        title: "Made square by",
        tip: "How images were made square",
        cell: |s| {
            RunCell::text(match s.fit {
                Fit::CenterCrop => "centre crop",
                Fit::Stretch => "stretch",
                Fit::Pad => "pad",
            })
        },
    },
    Setting {
        title: "Validation share",
        tip: "Part of the images kept aside to choose the best weights",
        cell: |s| count(u64::from(s.split.validation_percentage)),
    },
    Setting {
        title: "Test share",
        tip: "Part of the images kept aside for the test",
        cell: |s| count(u64::from(s.split.testing_percentage)),
    },
    Setting {
        title: "Views",
        tip: "Augmented views of each image",
        cell: |s| count(u64::from(s.fine_tune.views)),
    },
    Setting {
        title: "Layer decay",
        tip: "How much slower each block learns than the one behind it",
        cell: |s| decimal(s.fine_tune.layer_decay),
    },
    Setting {
        title: "Weight decay",
        tip: "How strongly weights are drawn towards zero",
        cell: |s| decimal(s.fine_tune.weight_decay),
    },
    Setting {
        title: "Label smoothing",
        tip: "How far the network is kept from being certain",
        cell: |s| decimal(s.fine_tune.label_smoothing),
    },
    Setting {
        title: "Weight averaging",
        tip: "Decay of the moving average of the weights",
        cell: |s| decimal(s.fine_tune.average_decay),
    },
    Setting {
        title: "Gradient limit",
        tip: "The longest step; 0 has no limit",
        cell: |s| decimal(s.fine_tune.clip_norm),
    },
    Setting {
        title: "Depthwise",
        tip: "Whether depthwise kernels were trained too",
        cell: |s| yes(s.fine_tune.train_depthwise),
    },
    Setting {
        title: "Seed",
        tip: "What everything random follows from",
        cell: |s| count(s.seed),
    },
];

impl RunTable {
    /// The table of these runs, in their order.
    #[must_use]
    pub fn of(entries: &[RunEntry]) -> Self {
        let settings: Vec<&Setting> = SETTINGS
            .iter()
            .filter(|setting| {
                let mut cells = entries.iter().map(|e| (setting.cell)(&e.run.settings));
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
                "Its name; without one its architecture and time",
                false,
            ),
            column("Begun", "When the training was begun", false),
        ];
        for setting in &settings {
            let numbers = entries
                .iter()
                .all(|entry| matches!((setting.cell)(&entry.run.settings).key, SortKey::Number(_)));
            columns.push(column(setting.title, setting.tip, numbers));
        }
        columns.extend([
            column(
                "Steps",
                "Steps done of its last part; the best weights were kept",
                true,
            ),
            column(
                "Validation",
                "Part of the validation images that was right",
                true,
            ),
            column("Test", "Part of the test images that was right", true),
            column("Took", "Time of the training", true),
            column("Note", "What was written of it", false),
        ]);
        let row = |entry: &RunEntry| {
            let run = &entry.run;
            let result = run.result.as_ref();
            let mut cells = vec![
                RunCell::text(entry.title()),
                RunCell {
                    text: words::begun(run),
                    key: SortKey::Text(run.created.clone()),
                },
            ];
            cells.extend(settings.iter().map(|setting| (setting.cell)(&run.settings)));
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
                Some(result) => {
                    let secs = result.seconds;
                    RunCell::number(words::stretch(secs.max(1.0)), Some(secs))
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

    /// Sorts the rows by a column; what has no value there stays last either way.
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
    use crate::backbone::Depth;
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
