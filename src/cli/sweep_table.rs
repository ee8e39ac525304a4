//! The table of a sweep, for people and for programs.

use serde::Serialize;

use crate::app::words;
use crate::sweep::{Cost, RankBy, Score, State, Sweep, SweepRow, Table};
use crate::text::{bytes, count, percent, visible};

use super::table::{Align, table as lines};

/// A sweep with its table.
#[derive(Serialize)]
pub struct SweepFigures {
    sweep: String,
    trainings: usize,
    done: usize,
    rank_by: RankBy,
    computer: String,
    rows: Vec<Line>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Line {
    rank: Option<u32>,
    state: &'static str,
    trainings: Vec<u32>,
    runs: Vec<String>,
    settings: serde_json::Map<String, serde_json::Value>,
    validation_accuracy: Option<f64>,
    validation_95: Option<[f64; 2]>,
    validation_cross_entropy: Option<f64>,
    test_accuracy: Option<f64>,
    test_95: Option<[f64; 2]>,
    multiply_accumulates: Option<u64>,
    bytes: Option<u64>,
    latency_ms: Option<f64>,
    seconds: Option<f64>,
    pareto: Vec<&'static str>,
    error: Option<String>,
}

impl SweepFigures {
    pub fn of(sweep: &Sweep, table: &Table) -> Self {
        Self {
            sweep: sweep.id.0.clone(),
            trainings: sweep.trainings.len(),
            done: sweep.done(),
            rank_by: sweep.rank,
            computer: sweep.computer.clone(),
            rows: table
                .ranked()
                .into_iter()
                .map(|row| Line::of(table, row))
                .collect(),
            notes: table.notes.clone(),
        }
    }
}

impl Line {
    fn of(table: &Table, row: &SweepRow) -> Self {
        let value = |of: Option<Score>| of.map(|score| score.value);
        let interval = |of: Option<Score>| of.and_then(|score| score.interval_95);
        let settings = table.settings.iter();
        Self {
            rank: row.rank,
            state: match row.state {
                State::Waiting => "waiting",
                State::Partly => "partly",
                State::Finished => "finished",
                State::Failed(_) => "failed",
            },
            trainings: row.trainings.clone(),
            runs: row.runs.iter().map(|run| run.0.clone()).collect(),
            settings: settings
                .filter(|setting| setting.plays(&row.settings))
                .map(|setting| {
                    let value = setting.get(&row.settings).to_string();
                    (setting.key.to_owned(), value.into())
                })
                .collect(),
            validation_accuracy: value(row.validation),
            validation_95: interval(row.validation),
            validation_cross_entropy: row.cross_entropy,
            test_accuracy: value(row.test),
            test_95: interval(row.test),
            multiply_accumulates: row.macs,
            bytes: row.bytes,
            latency_ms: row.latency_ms,
            seconds: row.seconds,
            pareto: Cost::ALL
                .into_iter()
                .filter(|cost| row.is_pareto(*cost))
                .map(Cost::title)
                .collect(),
            error: match &row.state {
                State::Failed(reason) => Some(reason.clone()),
                _ => None,
            },
        }
    }
}

/// The table for people.
pub fn text(sweep: &Sweep, table: &Table) -> String {
    let failed = |row: &&SweepRow| matches!(row.state, State::Failed(_));
    let mut heading = vec!["rank".to_owned()];
    heading.extend(table.settings.iter().map(|setting| setting.option()));
    let figures = [
        "validation",
        "cross-entropy",
        "test",
        "MACs",
        "size",
        "latency",
        "time",
        "Pareto",
    ];
    heading.extend(figures.map(str::to_owned));
    let mut aligns = vec![Align::Right];
    aligns.extend(table.settings.iter().map(|_| Align::Left));
    aligns.extend(figures.map(|name| match name {
        "Pareto" => Align::Left,
        _ => Align::Right,
    }));
    let mut rows = vec![heading];
    for row in table.ranked().into_iter().filter(|row| !failed(row)) {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let mut cells = vec![or_dash(row.rank.map(|rank| rank.to_string()))];
        cells.extend(table.settings.iter().map(|setting| {
            let value = setting.get(&row.settings).to_string();
            or_dash(setting.plays(&row.settings).then_some(value))
        }));
        cells.push(score(row.validation));
        cells.push(or_dash(row.cross_entropy.map(|nats| format!("{nats:.3}"))));
        cells.push(score(row.test));
        cells.push(or_dash(row.macs.map(words::millions)));
        cells.push(or_dash(row.bytes.map(bytes)));
        cells.push(or_dash(row.latency_ms.map(|ms| format!("{ms:.1} ms"))));
        cells.push(or_dash(row.seconds.map(|secs| format!("{secs:.1} s"))));
        cells.push(row.pareto_words());
        rows.push(cells);
    }
    let mut text = format!(
        "sweep {}: {} of {} done\n{}",
        sweep.id,
        sweep.done(),
        count(sweep.trainings.len() as u64, "training"),
        lines(&aligns, &rows)
    );
    for row in table.rows.iter().filter(failed) {
        if let State::Failed(reason) = &row.state {
            text.push_str("failed: ");
            text.push_str(&visible(&table.words(row)));
            text.push_str(": ");
            text.push_str(&visible(reason));
            text.push('\n');
        }
    }
    if !sweep.computer.is_empty() {
        text.push_str("latency: one image on ");
        text.push_str(&visible(&sweep.computer));
        text.push('\n');
    }
    for note in &table.notes {
        text.push_str("note: ");
        text.push_str(&visible(note));
        text.push('\n');
    }
    text
}

fn score(score: Option<Score>) -> String {
    let Some(score) = score else {
        return "–".to_owned();
    };
    let value = percent(score.value);
    match score.interval_95 {
        Some([low, high]) => format!("{value} [{:.1}, {:.1}]", low * 100.0, high * 100.0),
        None => value,
    }
}
