//! A sweep as a table of cells: rank, the settings in which its configurations differ, their results and costs.

use super::run_table::{CellTable, RunCell, RunColumn, RunRow, cell};
use crate::app::words;
use crate::sweep::{Score, State, Table};
use crate::train::schema::Kind;

/// A row for each configuration, by its index in the sweep.
pub type SweepCells = CellTable<usize>;

fn score(score: Option<Score>) -> RunCell {
    let value = score.map(|score| score.value);
    let text = score.map_or_else(
        || "–".to_owned(),
        |score| {
            let value = words::percent(score.value);
            match score.interval_95 {
                Some([low, high]) => format!("{value} [{:.0}–{:.0}]", low * 100.0, high * 100.0),
                None => value,
            }
        },
    );
    RunCell::number(text, value)
}

fn number(value: Option<f64>, text: impl FnOnce(f64) -> String) -> RunCell {
    RunCell::number(value.map_or_else(|| "–".to_owned(), text), value)
}

impl SweepCells {
    /// The table of a sweep, by rank. `training` is the number of the current training.
    #[must_use]
    pub fn of_sweep(table: &Table, training: Option<u32>) -> Self {
        let column = |title, tip, numbers| RunColumn {
            title,
            tip,
            numbers,
        };
        let mut columns = vec![column(
            "Rank",
            "Rank by validation images; test images are not used for ranking",
            true,
        )];
        columns.extend(table.settings.iter().map(|setting| {
            let numbers = matches!(
                setting.kind,
                Kind::Whole { .. } | Kind::WholeOr { .. } | Kind::Real { .. }
            );
            column(setting.title, setting.brief, numbers)
        }));
        columns.extend([
            column(
                "Validation",
                "Fraction of validation images classified correctly; used for ranking",
                true,
            ),
            column(
                "Cross-entropy",
                "Mean cross-entropy of the validation images, in nats",
                true,
            ),
            column(
                "Test",
                "Fraction of test images classified correctly, with its 95 % interval; not used for ranking",
                true,
            ),
            column("MACs", "Multiply-accumulates per image", true),
            column("Size", "Size of the model in fp32", true),
            column(
                "Latency",
                "Time per image for the whole network, on one thread of this computer; the same at every depth",
                true,
            ),
            column("Took", "Duration of its trainings", true),
            column(
                "Pareto",
                "No other configuration is at least as accurate on validation images at a lower cost of this kind",
                false,
            ),
        ]);
        let rows = table.rows.iter().enumerate().map(|(index, row)| {
            let mut cells = vec![number(row.rank.map(f64::from), |rank| format!("{rank:.0}"))];
            cells.extend(table.settings.iter().map(|setting| {
                if setting.plays(&row.settings) {
                    cell(setting, &row.settings)
                } else {
                    RunCell::number("–".to_owned(), None)
                }
            }));
            let under_way = training.is_some_and(|number| row.trainings.contains(&number));
            cells.push(match &row.state {
                State::Failed(_) => RunCell::number("failed".to_owned(), None),
                _ if under_way => RunCell::number("training…".to_owned(), None),
                State::Waiting => RunCell::number("waits".to_owned(), None),
                State::Partly | State::Finished => score(row.validation),
            });
            cells.push(number(row.cross_entropy, |nats| format!("{nats:.3}")));
            cells.push(score(row.test));
            cells.push(number(row.macs.map(|macs| macs as f64), |_| {
                row.macs.map(words::millions).unwrap_or_default()
            }));
            cells.push(number(row.bytes.map(|bytes| bytes as f64), |_| {
                row.bytes.map(words::bytes).unwrap_or_default()
            }));
            cells.push(number(row.latency_ms, |ms| format!("{ms:.1} ms")));
            cells.push(number(row.seconds, |secs| words::duration(secs.max(1.0))));
            cells.push(RunCell::text(row.pareto_words()));
            RunRow { id: index, cells }
        });
        let mut cells = Self {
            columns,
            rows: rows.collect(),
        };
        cells.sort(0, false);
        cells
    }
}
