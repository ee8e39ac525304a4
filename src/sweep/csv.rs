//! A table as CSV (RFC 4180): fractions in 0..=1, plain numbers, empty cells where there is none.

use crate::text::csv_cell;

use super::{State, Table};

/// The table in lines that end with CR LF, with a header line; rows are ordered by rank.
#[must_use]
pub fn csv(table: &Table) -> String {
    let mut text = String::new();
    let mut heading = vec!["rank".to_owned()];
    heading.extend(table.settings.iter().map(|setting| setting.key.to_owned()));
    let figures = [
        "state",
        "validation_accuracy",
        "validation_low_95",
        "validation_high_95",
        "validation_cross_entropy",
        "test_accuracy",
        "test_low_95",
        "test_high_95",
        "multiply_accumulates",
        "bytes",
        "latency_ms",
        "seconds",
        "pareto",
        "runs",
        "error",
    ];
    heading.extend(figures.map(str::to_owned));
    line(&mut text, &heading);
    for row in table.ranked() {
        let (state, error) = match &row.state {
            State::Waiting => ("waiting", ""),
            State::Partly => ("partly", ""),
            State::Finished => ("finished", ""),
            State::Failed(reason) => ("failed", reason.as_str()),
        };
        let mut cells = vec![number(row.rank)];
        cells.extend(table.settings.iter().map(|setting| {
            if setting.plays(&row.settings) {
                setting.get(&row.settings).to_string()
            } else {
                String::new()
            }
        }));
        cells.push(state.to_owned());
        let score = |of: Option<super::Score>| {
            let interval = of.and_then(|score| score.interval_95);
            [
                number(of.map(|score| score.value)),
                number(interval.map(|[low, _]| low)),
                number(interval.map(|[_, high]| high)),
            ]
        };
        cells.extend(score(row.validation));
        cells.push(number(row.cross_entropy));
        cells.extend(score(row.test));
        cells.push(number(row.macs));
        cells.push(number(row.bytes));
        cells.push(number(row.latency_ms));
        cells.push(number(row.seconds));
        cells.push(row.pareto_words());
        let runs: Vec<&str> = row.runs.iter().map(|run| run.0.as_str()).collect();
        cells.push(runs.join(" "));
        cells.push(error.to_owned());
        line(&mut text, &cells);
    }
    text
}

fn number(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn line(text: &mut String, cells: &[String]) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&csv_cell(cell));
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_comma_is_quoted() {
        let mut text = String::new();
        line(&mut text, &["a,b".into(), "say \"x\"".into(), "c".into()]);
        assert_eq!(text, "\"a,b\",\"say \"\"x\"\"\",c\r\n");
        let heading = csv(&Table::default());
        assert!(heading.starts_with("rank,state,validation_accuracy"));
        assert!(heading.ends_with("\r\n"));
    }
}
